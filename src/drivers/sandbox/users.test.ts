import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import fc from 'fast-check'
import { tempDir } from '../../../test/support/temp.ts'
import { openUsers } from './users.ts'

let temp: Awaited<ReturnType<typeof tempDir>>
let claims: string
const open = async (name: string, count = 3) => {
  const owner = join(temp.path, name)
  await mkdir(owner, { recursive: true })
  return openUsers({ first: 1_000, count, owner, claims })
}

beforeEach(async () => {
  temp = await tempDir()
  claims = join(temp.path, 'claims')
})
afterEach(() => temp[Symbol.asyncDispose]())

test('nobody is taken twice, whoever asks', async () => {
  const [one, two] = [await open('one', 20), await open('two', 20)]
  const taken = new Set<number>()
  fc.assert(
    fc.property(fc.boolean(), fc.boolean(), fc.nat(), (first, take, index) => {
      const users = first ? one : two
      const uid = [...taken][index % Math.max(1, taken.size)]
      if (take && taken.size < 20) {
        const user = users.take()
        assert.equal(taken.has(user.uid), false)
        assert.equal(user.gid, user.uid)
        taken.add(user.uid)
      } else if (uid !== undefined) {
        users.give({ uid, gid: uid })
        taken.delete(uid)
      }
    }),
  )
})

test('when all are taken there is no room, until one is given back', async () => {
  const users = await open('one')
  const [first] = [users.take(), users.take(), users.take()] as const
  assert.throws(() => users.take(), { name: 'DriverError', fault: 'no-room' })
  users.give(first)
  assert.deepEqual(users.take(), first)
})

test('one that was given back is the last to be taken again', async () => {
  const users = await open('one')
  const first = users.take()
  users.give(first)
  assert.notDeepEqual(users.take(), first)
})

test('what a killed owner had taken is free when it opens again, and not before', async () => {
  const users = await open('one')
  for (let i = 0; i < 3; i++) users.take()
  const other = await open('two')
  assert.throws(() => other.take(), { fault: 'no-room' })
  await open('one')
  assert.equal(other.take().uid, 1_000)
})

test('what an owner had taken whose folder is gone is free', async () => {
  const users = await open('one')
  users.take()
  await rm(join(temp.path, 'one'), { recursive: true })
  await open('two')
  assert.deepEqual(readdirSync(claims), [])
})

test('claims that cannot be made are told by their folder', async () => {
  await writeFile(join(temp.path, 'file'), '')
  claims = join(temp.path, 'file', 'claims')
  await assert.rejects(open('one'), (error: Error) => error.message.includes(claims))
})

test('root is nobody to take, nor is who cannot be', () => {
  for (const [first, count] of [
    [0, 10],
    [-5, 10],
    [1_000, 0],
    [2 ** 31 - 1, 2],
    [Number.NaN, 1],
  ] as const)
    assert.throws(() => openUsers({ first, count, owner: temp.path, claims }), { fault: 'unavailable' })
})
