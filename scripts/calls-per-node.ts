/**
 * Calls a function many times through a balancer and prints how many of the calls each node ran.
 * `node scripts/calls-per-node.ts FUNCTION_URL ADMIN_URL [COUNT [BODY [AT_ONCE]]]`; by default 100 calls, 4 at once.
 * ADMIN_URL: where the balancer's admin port is. With `FN_TOKEN` in the environment it is sent along.
 * Exits with 1 when a call fails. Only for a system that nobody else calls meanwhile: nodes count all their calls.
 */
const [url, admin, count = '100', body = '{"max":10000}', atOnce = '4'] = process.argv.slice(2)
if (!url || !admin) {
  console.error('usage: node scripts/calls-per-node.ts FUNCTION_URL ADMIN_URL [COUNT [BODY [AT_ONCE]]]')
  process.exit(2)
}

const token = process.env['FN_TOKEN']
const headers: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {}

async function ask<T>(address: string): Promise<T> {
  const reply = await fetch(address, { headers })
  if (!reply.ok) throw new Error(`${address} answered ${reply.status}: ${await reply.text()}`)
  return (await reply.json()) as T
}

/** Calls that each node has run since it started. */
async function callsByNode(): Promise<Map<string, number>> {
  const { nodes } = await ask<{ readonly nodes: Readonly<Record<string, string>> }>(`${admin}/1/lb/nodes`)
  const loads = Object.keys(nodes).map(async (node) => {
    const { calls } = await ask<{ readonly calls: number }>(`http://${node}/node/load`)
    return [node, calls] as const
  })
  return new Map(await Promise.all(loads))
}

let left = Number(count)
let failed = 0
async function callInTurn(target: string): Promise<void> {
  while (left-- > 0) {
    const reply = await fetch(target, { method: 'POST', body })
    const text = await reply.text()
    if (reply.ok) continue
    failed++
    console.error(`${reply.status} ${text}`)
  }
}

const before = await callsByNode()
await Promise.all(Array.from({ length: Number(atOnce) }, () => callInTurn(url)))
const after = await callsByNode()
for (const [node, calls] of after) console.log(`${node} ${calls - (before.get(node) ?? 0)}`)
process.exitCode = failed > 0 ? 1 : 0
