// Runs one container and prints what it uses: npm install sluice, then node run.ts
import { average, type ContainerSpec, parseBytes, processDriver } from 'sluice/drivers'

const { signal } = new AbortController()
const spec: ContainerSpec = {
  ...{ id: 'primes', mode: 'cold', source: { kind: 'bundle', dir: `${import.meta.dirname}/function` } },
  ...{ memory: parseBytes('128M'), cpus: 1, pids: 0, tmpfsSize: 0, network: 'none' },
  ...{ env: {}, labels: {}, startTimeout: 5_000, timeout: 60_000 },
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
