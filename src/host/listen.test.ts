import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { formatAddress, isLoopback, listen, parseAddress } from './listen.ts'

test('addresses are read and written', () => {
  for (const text of ['127.0.0.1:8080', 'node-1.internal:80', '[::1]:0']) {
    assert.equal(formatAddress(parseAddress(text) ?? { host: '', port: -1 }), text)
  }
  for (const text of ['', '8080', ':8080', 'host:', 'host:99999', 'http://host:1', 'a b:1', '::1:80']) {
    assert.equal(parseAddress(text), undefined, text)
  }
})

test('loopback is told from the rest', () => {
  for (const host of ['127.0.0.1', '127.1.2.3', 'localhost', '::1']) assert.ok(isLoopback(host), host)
  for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.example.com'])
    assert.ok(!isLoopback(host), host)
})

test('a port in use is one clear error', async () => {
  const first = createServer()
  const address = await listen(first, { host: '127.0.0.1', port: 0 })
  await assert.rejects(listen(createServer(), address), {
    code: 'address',
    message: `127.0.0.1:${address.port} is already in use`,
  })
  await new Promise((resolve) => first.close(resolve))
})
