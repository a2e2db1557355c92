import assert from 'node:assert/strict'
import { test } from 'node:test'
import { balancerRig, send } from '../../test/support/balancer-rig.ts'

const FN = '01FN000000000000000000000A'

/** Calls that each of three nodes gets of 200 to `path(i)`, all of which wait 60 s wherever they go. */
async function spread(path: (i: number) => string, source: string): Promise<number[]> {
  await using rig = await balancerRig(3)
  for (const node of rig.nodes)
    node.answer = (_req, res) => {
      res.setHeader('Fn-Wait', 'queue=60s,start=0s,fetch=0s')
      res.setHeader('Fn-Function', `${FN} ${encodeURI(source)}`.trimEnd())
      res.end()
    }
  for (let i = 0; i < 200; i++) await send(rig.balancer.url + path(i))
  return rig.nodes.map(({ seen }) => seen.length)
}

test('a trigger whose paths hold parameters spills as a fixed path does', async () => {
  const fixed = await spread(() => '/t/shop/users', '/users')
  const byId = await spread(() => `/invoke/${FN}`, '')
  const withParams = await spread((i) => `/t/shop/users/u${i}`, '/users/:user')
  const deep = await spread((i) => `/t/shop/${i}/a/${i}`, '/*rest')
  for (const counts of [fixed, byId, withParams, deep])
    for (const count of counts) assert.ok(count >= 40, `${counts}`)
})
