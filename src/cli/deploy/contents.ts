import type { Bundle } from '../bundle.ts'
import { formatTable, type Io } from '../io.ts'
import { formatSize, type TreeFile } from '../tar.ts'

/** What is sent, a line a file; installed packages are one line. */
export function formatContents(io: Io, { contents, leftOut }: Bundle): string {
  const own = contents.filter(({ path }) => !path.startsWith(PACKAGES))
  const packages = contents.filter(({ path }) => path.startsWith(PACKAGES))
  const rows = [
    ...own.map(({ path, size }) => [path, formatSize(size)]),
    ...(packages.length > 0 ? [[`${PACKAGES} (${countFiles(packages)})`, formatSize(sumOf(packages))]] : []),
    ...leftOut.map(({ path, why }) => [path, `left out: ${why === 'secret' ? 'may be a secret' : why}`]),
  ]
  return formatTable(io, [countFiles(contents), formatSize(sumOf(contents))], rows)
}

/** One line about what is not sent, or `undefined`. */
export function explainLeftOut({ leftOut }: Bundle): string | undefined {
  if (leftOut.length === 0) return undefined
  const paths = leftOut.slice(0, SHOWN).map(({ path }) => path)
  const more = leftOut.length > SHOWN ? ` and ${leftOut.length - SHOWN} more` : ''
  return `not sent: ${paths.join(', ')}${more} ("!name" in .sluiceignore brings one back)`
}

const SHOWN = 5
const PACKAGES = 'node_modules/'
const sumOf = (files: readonly TreeFile[]) => files.reduce((sum, { size }) => sum + size, 0)
const countFiles = ({ length }: readonly TreeFile[]) => `${length} ${length === 1 ? 'file' : 'files'}`
