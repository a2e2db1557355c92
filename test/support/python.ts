import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { Readable } from 'node:stream'
import type { Docker } from './docker-client.ts'
import { type TarEntry, tarOf } from './images.ts'

/** Where functions of the process driver find programs. */
const PATH = '/usr/local/bin:/usr/bin:/bin'

/** What a server on the standard library needs: the interpreter and the modules that are loaded, all encodings too. */
const LIST = `
import encodings, json, http.server, os, socketserver, sys
folder = encodings.__path__[0]
names = [os.path.join(folder, name) for name in os.listdir(folder)]
names += [getattr(module, '__file__', None) or '' for module in sys.modules.values()]
files = [name for name in names if name.endswith('.py')]
print(json.dumps([os.path.realpath(sys.executable), os.path.dirname(os.__file__), sorted(set(files))]))
`

/** Why what needs Python is skipped; `false` where it is there. @throws where CI promises it */
export function pythonMissing(): string | false {
  try {
    execFileSync('python3', ['--version'], { env: { PATH }, stdio: 'ignore' })
    return false
  } catch (error) {
    if (process.env['CI']) throw error
    return 'no python3: install it'
  }
}

/**
 * The one layer of an image FROM scratch: this machine's Python, as much of its library as a server takes, and a
 * program.
 * @returns the layer, and the program's command line inside
 */
export async function pythonLayer(program: string): Promise<{ layer: Buffer; command: string[] }> {
  const [python, library, modules] = JSON.parse(run('python3', ['-I', '-S', '-c', LIST])) as [
    string,
    string,
    string[],
  ]
  const files = [python, ...librariesOf(python), ...modules]
  const place = '/function/func.py'
  const entries = [
    ...files.map((path) => entry(path, path)),
    entry(place, program),
    ...[`${library}/lib-dynload`, '/tmp'].map((path) => ({
      name: path.slice(1),
      type: 'directory' as const,
    })),
  ]
  const folders = new Set(entries.flatMap(({ name }) => parentsOf(name)))
  const made = [...folders].sort().map((name) => ({ name, type: 'directory' as const, mode: 0o755 }))
  return { layer: await tarOf([...made, ...entries]), command: [python, '-I', '-S', place] }
}

/** Makes an image of one layer on an engine. @param ref ends in `:latest`: podman imports under no other tag */
export async function importLayer(
  docker: Docker,
  ref: string,
  layer: Buffer,
  command: readonly string[],
): Promise<void> {
  const [repo] = ref.split(/:[^:/]*$/) as [string]
  const changes = [`ENTRYPOINT ${JSON.stringify(command)}`]
  await docker.importImage(Readable.from([layer]), { repo, tag: 'latest', changes })
}

const run = (command: string, args: readonly string[]): string =>
  execFileSync(command, args, { env: { PATH }, encoding: 'utf8' })

/** What it is linked to, where its loader looks for it. */
const librariesOf = (program: string): string[] =>
  Array.from(run('ldd', [program]).matchAll(/(?:=> |^\s*)(\/\S+) \(0x/gm), ([, path]) => path as string)

const entry = (name: string, from: string): TarEntry => ({
  name: name.slice(1),
  mode: 0o755,
  content: readFileSync(from),
})

const parentsOf = (path: string): string[] =>
  path.includes('/') ? [...parentsOf(dirname(path)), dirname(path)] : []
