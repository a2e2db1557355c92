import { describe, test } from 'node:test'
import { bundlesContract } from './contract/bundles.contract.ts'
import type { Ground, Promises } from './contract/ground.ts'
import { handlesContract } from './contract/handles.contract.ts'
import { keysContract } from './contract/keys.contract.ts'
import { pagesContract } from './contract/pages.contract.ts'
import { resourcesContract } from './contract/resources.contract.ts'

/** What every store promises. */
export function storeContract(name: string, make: () => Promise<Ground>): void {
  const promise: Promises = (title, check) =>
    test(title, async () => {
      await using ground = await make()
      await using store = await ground.open()
      await check(store, ground)
    })

  describe(`store: ${name}`, () => {
    resourcesContract(promise)
    keysContract(promise)
    pagesContract(promise)
    handlesContract(promise)
    bundlesContract(promise)
  })
}
