import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { constants } from 'node:os'
import { dirname, isAbsolute } from 'node:path'
import { after, describe, test } from 'node:test'
import { callRows } from './calls.ts'
import { dangerRows, isAboutUsers } from './dangers.ts'
import { type Grounds, openGrounds } from './grounds.ts'
import { linkTests } from './links.ts'
import { cannotTry, hasCapability, type Report, type Result } from './program.ts'
import { type Control, ENOSYS, isLacking, type Row } from './row.ts'

const skip = cannotTry()
if (skip) test('nothing gets out of the sandbox', { skip }, () => {})
else await escapes()

async function escapes(): Promise<void> {
  const held = new AsyncDisposableStack()
  after(() => held.disposeAsync())
  const grounds = await openGrounds(held)
  const calls = callRows(process.arch as 'x64' | 'arm64')
  const dangers = dangerRows(grounds)
  const trial = await tryAll(grounds, [...calls, ...dangers])

  describe('system calls that the sandbox denies', () => {
    for (const row of calls) testRow(row, trial)
    test('most of them get through elsewhere', () => {
      const shown = calls.filter((row) => resultOf(trial, row, row.control)?.denied === false)
      assert.ok(shown.length > calls.length / 2, `${shown.length} of ${calls.length}`)
    })
  })

  describe('dangers that the sandbox averts', () => {
    for (const row of dangers) testRow(row, trial)
  })

  linkTests(grounds)

  test('being root inside helps in nothing', async () => {
    const rows = [...calls, ...dangers].filter((row) => !isAboutUsers(row))
    const { results, remarks } = await grounds.inside(attemptsOf(rows), { user: '0:0' })
    const through = rows.filter(({ attempt }) => !results.get(attempt)?.denied)
    assert.deepEqual(through, [], remarks)
  })

  test('every container has a user of its own, who is not root', () => {
    const [one, two] = grounds.neighbours.map(({ pid }) => statSync(`/proc/${pid}`).uid)
    assert.equal(new Set([one, two, 0, process.getuid?.(), 65_534]).size, 4)
  })

  test('what a container makes belongs to its user', () => {
    const { pid } = grounds.neighbours[0]
    assert.equal(statSync(`/proc/${pid}/root/tmp/canary`).uid, statSync(`/proc/${pid}`).uid)
  })

  test('the memory of one that crashes is written nowhere outside', async () => {
    const pattern = readFileSync('/proc/sys/kernel/core_pattern', 'utf8')
    const { bundle, dataDir } = grounds
    const places = [bundle, dataDir, process.cwd(), ...(isAbsolute(pattern) ? [dirname(pattern)] : [])]
    const before = places.flatMap(coresIn)
    const { results } = await grounds.inside(['crash'])
    assert.equal(results.get('crash')?.signal, constants.signals.SIGABRT)
    assert.deepEqual(places.flatMap(coresIn), before)
  })

  test('it can watch no files: those of the runtime are everybody’s', async () => {
    const { results } = await grounds.inside(['watch'])
    assert.deepEqual(results.get('watch'), { attempt: 'watch', denied: true, errno: ENOSYS, signal: 0 })
  })
}

function coresIn(dir: string): string[] {
  return readdirSync(dir).filter((name) => name.includes('core') || name.includes('attempts'))
}

/** Every row's attempt in the sandbox, and the same attempts wherever a row has its control. */
interface Trial {
  readonly inside: Report
  readonly controls: Readonly<Record<'root' | 'user' | 'no filter', Report>>
}

async function tryAll(grounds: Grounds, rows: readonly Row[]): Promise<Trial> {
  const of = (where: Control['where']) => attemptsOf(rows.filter(({ control }) => control.where === where))
  const allowed = rows.flatMap(({ control }) => (control.where === 'inside' ? [control.attempt] : []))
  return {
    inside: await grounds.inside([...new Set([...attemptsOf(rows), ...allowed])]),
    controls: {
      root: await grounds.asRoot(of('root')),
      user: await grounds.asUser(of('user')),
      'no filter': await grounds.unfiltered(of('no filter')),
    },
  }
}

function attemptsOf(rows: readonly Row[]): string[] {
  return rows.map(({ attempt }) => attempt)
}

function testRow(row: Row, trial: Trial): void {
  test(row.what, () => {
    const { inside } = trial
    const result = inside.results.get(row.attempt)
    assert.ok(result?.denied, `${row.attempt} got through: ${inside.remarks}`)
    if (row.errno !== undefined) assert.equal(result.errno, row.errno, 'what stopped it')
    const control = resultOf(trial, row, row.control)
    if (control && !isLacking(control))
      assert.equal(control.denied, false, `elsewhere it fails too: ${JSON.stringify(control)}`)
  })
}

/** `undefined` where there is nothing to show. */
function resultOf({ inside, controls }: Trial, { attempt }: Row, control: Control): Result | undefined {
  if (control.where === 'nowhere') return undefined
  if (control.where === 'inside') return inside.results.get(control.attempt)
  if (control.where === 'root' && control.capability !== undefined && !hasCapability(control.capability))
    return undefined
  return controls[control.where].results.get(attempt)
}
