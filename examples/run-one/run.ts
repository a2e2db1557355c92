// Runs one container and prints what it uses: npm install @sluice/drivers, then node run.ts
import { average, processDriver, type SpecInput } from '@sluice/drivers'

const { signal } = new AbortController()
const spec: SpecInput = {
  ...{ id: 'primes', mode: 'cold', source: { kind: 'bundle', dir: `${import.meta.dirname}/function` } },
  ...{ memory: '128M', cpus: 1, timeout: 60_000 },
}

await using driver = await processDriver({ dataDir: 'data' })
await using cookie = await driver.prepare(spec, signal)
await using container = await cookie.run(signal)
container.stdout.pipe(process.stdout)
container.stderr.pipe(process.stderr)
container.stdin?.end('{"seconds":2}')
for await (const { timestamp, metrics } of container.stats(signal)) console.log(timestamp, metrics)

console.log(await container.ended)
console.log('average', average(container.measured())?.metrics)
