import { createHash } from 'node:crypto'
import { type Header, pack } from 'tar-stream'

export type TarEntry = [Partial<Header> & { name: string }, (string | Uint8Array)?]

/** A tar of entries, and its digest. */
export async function tarOf(...entries: TarEntry[]): Promise<{ tar: Buffer; digest: string }> {
  const packing = pack()
  for (const [header, content] of entries) packing.entry(header, content ?? '')
  packing.finalize()
  const chunks: Uint8Array[] = []
  for await (const chunk of packing) chunks.push(chunk as Uint8Array)
  const tar = Buffer.concat(chunks)
  return { tar, digest: createHash('sha256').update(tar).digest('hex') }
}

/** A tar of many empty files: quick to make, whatever the count. */
export function tarOfMany(count: number): { tar: Buffer; digest: string } {
  const tar = Buffer.alloc((count + 2) * 512)
  for (let i = 0; i < count; i++) {
    const head = tar.subarray(i * 512, (i + 1) * 512)
    head.write(`d${i % 100}/f${i}`, 0)
    head.write('0000644\0', 100)
    head.write('0000000\0', 108)
    head.write('0000000\0', 116)
    head.write('00000000000\0', 124)
    head.write('00000000000\0', 136)
    head.write('        ', 148)
    head.write('0', 156)
    head.write('ustar\x0000', 257)
    let sum = 0
    for (const byte of head) sum += byte
    head.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  }
  return { tar, digest: createHash('sha256').update(tar).digest('hex') }
}
