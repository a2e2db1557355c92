import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readEnvironment } from './config.ts'

test('nothing set leaves every choice to the node', () => {
  const { memory, cpus, freezeIdle, cors, maxResponseHeadSize } = readEnvironment({})
  assert.deepEqual([memory, cpus, freezeIdle, maxResponseHeadSize], [undefined, undefined, undefined, 0])
  assert.deepEqual(cors, { origins: [], headers: [] })
})

test('what containers may be promised is read in bytes and thousandths of a CPU', () => {
  const { memory, cpus } = readEnvironment({
    FN_MAX_TOTAL_MEMORY_BYTES: '1073741824',
    FN_MAX_TOTAL_CPU_MCPUS: '2500',
  })
  assert.deepEqual([memory, cpus], [1_073_741_824, 2.5])
})

test('0 in total means what the machine leaves, as in Fn', () => {
  const { memory, cpus } = readEnvironment({ FN_MAX_TOTAL_MEMORY_BYTES: '0', FN_MAX_TOTAL_CPU_MCPUS: '0' })
  assert.deepEqual([memory, cpus], [undefined, undefined])
})

test('the time until an idle container is paused may be 0, or below it for never', () => {
  for (const [text, expected] of [
    ['0', 0],
    ['50', 50],
    ['-1', -1],
  ] as const)
    assert.equal(readEnvironment({ FN_FREEZE_IDLE_MSECS: text }).freezeIdle, expected)
})

test('lists are split at commas, white space and empty items left out', () => {
  const { cors } = readEnvironment({
    FN_API_CORS_ORIGINS: ' https://app.example.com, http://localhost:3000,,',
    FN_API_CORS_HEADERS: 'Content-Type, X-Mine',
  })
  assert.deepEqual(cors, {
    origins: ['https://app.example.com', 'http://localhost:3000'],
    headers: ['Content-Type', 'X-Mine'],
  })
  assert.deepEqual(readEnvironment({ FN_API_CORS_ORIGINS: '*' }).cors.origins, ['*'])
})

const WRONG = [
  ['FN_MAX_TOTAL_MEMORY_BYTES', '2G', /must be a whole number of bytes, got 2G/],
  ['FN_MAX_TOTAL_MEMORY_BYTES', '-1', /must be a whole number of bytes, got -1/],
  ['FN_MAX_TOTAL_CPU_MCPUS', '1.5', /must be a whole number of thousandths of a CPU, got 1\.5/],
  ['FN_MAX_HDR_RESPONSE_SIZE', '1e3', /must be a whole number of bytes, got 1e3/],
  ['FN_FREEZE_IDLE_MSECS', '50ms', /must be a whole number of milliseconds, below 0 for never, got 50ms/],
  ['FN_API_CORS_ORIGINS', 'example.com', /must list origins like https:\/\/app\.example\.com, or be \*/],
  // The browser sends an origin in one spelling, without a path.
  ['FN_API_CORS_ORIGINS', 'https://A.example:443/x', /like https:\/\/a\.example, .* got https:\/\/A\./],
  ['FN_API_CORS_HEADERS', 'Content-Type; X', /must list names of headers, or be \*, got Content-Type; X/],
] as const

test('a value that is none is refused, naming variable, rule and value', () => {
  for (const [name, value, message] of WRONG)
    assert.throws(
      () => readEnvironment({ [name]: value }),
      (error: Error) =>
        error instanceof RangeError && error.message.startsWith(name) && message.test(error.message),
      `${name}=${value}`,
    )
})

test('hosts are named without their ports, that of the public address among them', () => {
  const { allowedHosts } = readEnvironment({
    FN_ALLOWED_HOSTS: 'Laptop.example:8080, [FD00::1]:80, 10.0.0.1',
    FN_PUBLIC_LB_URL: 'https://faas.example.com:8443/base/',
  })
  assert.deepEqual(allowedHosts, ['laptop.example', 'fd00::1', '10.0.0.1', 'faas.example.com'])
  assert.throws(
    () => readEnvironment({ FN_ALLOWED_HOSTS: 'https://a.example' }),
    /FN_ALLOWED_HOSTS must list/,
  )
})
