import { subtle } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { check } from './check.ts'
import { type ApiOptions, NO_HEAD, notFound } from './context.ts'

interface ByDigest {
  Params: { digest: string }
}

/** `/bundles/{digest}`: raw tars by the hex sha256 of their content. @param maxSize bytes */
export function serveBundles(fastify: FastifyInstance, options: ApiOptions, maxSize: number): void {
  const { clock } = options
  const { bundles } = options.store

  fastify.put<ByDigest>('/bundles/:digest', { bodyLimit: maxSize }, async (request) => {
    const { digest } = request.params
    checkDigest(digest)
    const tar = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
    check(tar.length > 0, 'Missing bundle', 'bundle', 'be the raw tar in the body', '')
    const actual = await sha256(tar)
    check(
      actual === digest,
      'Bundle digest does not match its content',
      'bundle digest',
      `be the sha256 of the body, ${actual}`,
      digest,
    )
    await bundles.put(digest, tar, clock.wall())
    return { digest, size: tar.length }
  })

  fastify.get<ByDigest>('/bundles/:digest', NO_HEAD, async (request, reply) => {
    const { digest } = request.params
    checkDigest(digest)
    const tar = await bundles.get(digest)
    if (!tar) throw notFound('Bundle', digest)
    return reply.type('application/x-tar').send(tar)
  })

  fastify.head<ByDigest>('/bundles/:digest', async (request, reply) => {
    const { digest } = request.params
    checkDigest(digest)
    if (!(await bundles.has(digest))) throw notFound('Bundle', digest)
    return reply.type('application/x-tar').send()
  })
}

function checkDigest(digest: string): void {
  check(
    /^[0-9a-f]{64}$/.test(digest),
    'Invalid bundle digest',
    'bundle digest',
    'be 64 lower-case hex digits',
    digest,
  )
}

/** Off this thread: a large bundle takes a while. */
const sha256 = async (bytes: Uint8Array): Promise<string> =>
  Buffer.from(await subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)).toString('hex')
