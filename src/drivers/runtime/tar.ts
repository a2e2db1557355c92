/** What is said of one entry of a tar: ustar, times 0, owners 0. */
export interface Head {
  readonly type: 'file' | 'folder' | 'link'
  /** At most 100 bytes. */
  readonly name: string
  readonly mode: number
  /** Bytes; 0 of what is no file. */
  readonly size: number
  /** Of a link; at most 100 bytes. */
  readonly target?: string
}

const FLAGS = { file: '0', folder: '5', link: '2' } as const

/** Ends a tar. */
export const END: Uint8Array = new Uint8Array(1024)

/** What follows a file's content. */
export const padding = (size: number): Uint8Array => new Uint8Array((512 - (size % 512)) % 512)

/** The 512 bytes before an entry's content. */
export function tarHead({ type, name, mode, size, target = '' }: Head): Uint8Array {
  const head = Buffer.alloc(512)
  const put = (text: string, at: number, length: number) => {
    if (Buffer.byteLength(text) > length)
      throw new RangeError(`${JSON.stringify(text)} has more than ${length} bytes`)
    head.write(text, at)
  }
  const octal = (value: number, length: number) => value.toString(8).padStart(length, '0')
  put(name, 0, 100)
  put(octal(mode, 7), 100, 7)
  put(octal(0, 7), 108, 7)
  put(octal(0, 7), 116, 7)
  put(octal(size, 11), 124, 11)
  put(octal(0, 11), 136, 11)
  put(' '.repeat(8), 148, 8) // the checksum is taken with spaces in its place
  put(FLAGS[type], 156, 1)
  put(target, 157, 100)
  put('ustar\0' + '00', 257, 8)
  put(
    `${octal(
      head.reduce((sum, byte) => sum + byte, 0),
      6,
    )}\0`,
    148,
    7,
  )
  return head
}
