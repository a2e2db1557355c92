import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { messageOf, SluiceError } from '../core/errors.ts'
import { checkedBundle } from '../host/bundle.ts'
import { check } from './check.ts'
import { type ApiOptions, NO_HEAD, notFound } from './context.ts'

interface ByDigest {
  Params: { digest: string }
}

/** `/bundles/{digest}`: raw tars by the hex sha256 of their content. @param maxSize bytes */
export function serveBundles(fastify: FastifyInstance, options: ApiOptions, maxSize: number): void {
  const { clock } = options
  const { bundles } = options.store

  // A bundle is never whole in memory: it is checked and stored while it comes in.
  fastify.register(async (raw) => {
    raw.removeAllContentTypeParsers()
    raw.addContentTypeParser('*', async (_: FastifyRequest, body: Readable) => body)

    raw.put<ByDigest>('/bundles/:digest', { bodyLimit: maxSize }, async (request) => {
      const { digest } = request.params
      checkDigest(digest)
      const body = request.body instanceof Readable ? request.body : Readable.from([])
      const upload = new Upload(body, maxSize)
      try {
        await bundles.put(digest, upload.read(digest), clock.wall())
      } finally {
        body.resume() // What a refused client still sends is let go, so that it comes to the answer.
      }
      return { digest, size: upload.size }
    })
  })

  fastify.get<ByDigest>('/bundles/:digest', NO_HEAD, async (request, reply) => {
    const { digest } = request.params
    checkDigest(digest)
    const bundle = await bundles.get(digest)
    if (!bundle) throw notFound('Bundle', digest)
    reply.type('application/x-tar').header('content-length', bundle.size)
    return reply.send(Readable.from(bundle.read()))
  })

  fastify.head<ByDigest>('/bundles/:digest', async (request, reply) => {
    const { digest } = request.params
    checkDigest(digest)
    if (!(await bundles.has(digest))) throw notFound('Bundle', digest)
    return reply.type('application/x-tar').send()
  })
}

/** A tar that comes in: passed on piece by piece, without an end when it is no bundle of its digest. */
class Upload {
  readonly #body: Readable
  readonly #maxSize: number
  /** Bytes so far. */
  size = 0

  constructor(body: Readable, maxSize: number) {
    this.#body = body
    this.#maxSize = maxSize
  }

  /** @throws SluiceError `invalid` naming the rule */
  async *read(digest: string): AsyncGenerator<Uint8Array> {
    const hash = createHash('sha256')
    try {
      for await (const piece of checkedBundle(this.#pieces())) {
        hash.update(piece)
        yield piece
      }
    } catch (error) {
      if (error instanceof SluiceError) throw error
      check(this.size > 0, 'Missing bundle', 'bundle', 'be the raw tar in the body', '')
      throw new SluiceError('invalid', 'Invalid bundle', {
        detail: `bundle must be a tar of plain files and folders: ${messageOf(error)}`,
      })
    }
    const actual = hash.digest('hex')
    check(
      actual === digest,
      'Bundle digest does not match its content',
      'bundle digest',
      `be the sha256 of the body, ${actual}`,
      digest,
    )
  }

  /** The body stays open when nobody reads on, so that the client can be answered. */
  async *#pieces(): AsyncGenerator<Uint8Array> {
    const pieces = this.#body.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>
    try {
      for await (const piece of pieces) {
        this.size += piece.length
        if (this.size > this.#maxSize)
          throw new SluiceError('too-large', undefined, {
            detail: `the body must be at most ${this.#maxSize} bytes`,
          })
        yield piece
      }
    } catch (error) {
      throw this.#body.errored ? new SluiceError('client-gone', undefined, { cause: error }) : error
    }
  }
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
