import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))

/** A function as a bundle that every driver can run. */
export interface Program {
  readonly name: string
  /** The bundle's folder. */
  readonly dir: string
  /** The JavaScript of its TypeScript, as a node has it made. */
  readonly stripped?: string
  /** Absent: the bundle's entry, run by the driver's Node. */
  readonly file?: string
  /** What starts it without any driver. */
  readonly argv: readonly string[]
}

export interface Programs {
  /** An unmodified program on the Node FDK. */
  readonly fdk: Program
  readonly typescript: Program
  /** The same without its types. */
  readonly untyped: Program
  /** A handler, and for the baseline what somebody writes and starts without Sluice: `node server.js`. */
  readonly handler: Program
  /** Static C: its start costs next to nothing but the container. */
  readonly c: Program
}

const HANDLER = "module.exports = () => 'hello'\n"
const SERVER = `require('node:module').enableCompileCache()
require('node:http')
  .createServer((_, res) => res.end('hello'))
  .listen(process.env.FN_LISTENER.slice('unix:'.length))
`

/** Makes the bundles in `dir`, readable for every user. Needs a C compiler. */
export function makePrograms(dir: string): Programs {
  const [fdk, typescript, c, handler] = ['fdk', 'ts', 'c', 'js'].map((name) => join(dir, name)) as [
    string,
    string,
    string,
    string,
  ]
  cpSync(path('../../examples/hello-fdk'), fdk, { recursive: true })
  mkdirSync(join(fdk, 'node_modules/@fnproject'), { recursive: true })
  cpSync(path('../../node_modules/@fnproject/fdk'), join(fdk, 'node_modules/@fnproject/fdk'), {
    recursive: true,
  })
  cpSync(path('../../examples/hello-ts'), typescript, { recursive: true })
  const [stripped, untyped] = [join(dir, 'ts.stripped'), join(dir, 'untyped')]
  const code = stripTypeScriptTypes(readFileSync(join(typescript, 'func.ts'), 'utf8'))
  for (const [folder, name] of [
    [stripped, 'func.ts'],
    [untyped, 'func.js'],
  ] as const) {
    mkdirSync(folder, { mode: 0o755 })
    writeFileSync(join(folder, name), code)
  }
  mkdirSync(c, { mode: 0o755 })
  mkdirSync(handler, { mode: 0o755 })
  writeFileSync(join(handler, 'func.js'), HANDLER)
  writeFileSync(join(handler, 'server.js'), SERVER)
  const args = ['-D_GNU_SOURCE', '-static', '-O2', '-o', join(c, 'function'), path('function.c')]
  execFileSync('gcc', args, { stdio: 'inherit' })
  chmodSync(dir, 0o755)
  const bootstrap = path('../../src/fdk/bootstrap.cjs')
  return {
    fdk: { name: 'FDK function', dir: fdk, argv: [process.execPath, join(fdk, 'func.js')] },
    typescript: {
      name: 'TypeScript handler',
      dir: typescript,
      stripped,
      argv: [process.execPath, bootstrap, typescript],
    },
    untyped: { name: 'untyped handler', dir: untyped, argv: [process.execPath, bootstrap, untyped] },
    handler: {
      name: 'JavaScript handler',
      dir: handler,
      argv: [process.execPath, join(handler, 'server.js')],
    },
    c: { name: 'C function', dir: c, file: 'function', argv: [join(c, 'function')] },
  }
}
