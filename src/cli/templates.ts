/** What `sluice init` can write. */
export const RUNTIMES = ['typescript', 'javascript', 'fdk'] as const
export type Runtime = (typeof RUNTIMES)[number]

/** The files of a new function: name → content. */
export function makeFiles(name: string, runtime: Runtime): Readonly<Record<string, string>> {
  return { 'func.yaml': funcYaml(name, runtime), ...PROGRAMS[runtime] }
}

/** JSON's quotes are YAML's too: no name can be taken for a number or a date. */
const funcYaml = (name: string, runtime: Runtime) => `schema_version: 20180708
name: ${JSON.stringify(name)}
version: 0.0.1
runtime: ${runtime}
memory: 128
timeout: 30
content_type: application/json
# network: true   # a function reaches no network unless it asks for one
triggers:
  - name: ${JSON.stringify(name)}
    type: http
    source: ${JSON.stringify(`/${name}`)}
`

const PROGRAMS: Readonly<Record<Runtime, Readonly<Record<string, string>>>> = {
  typescript: {
    'func.ts': `/** Runs once per call; what it returns is the answer: a Response, a text, or anything JSON can hold. */
export default async function handle(request: Request): Promise<{ message: string }> {
  const text = await request.text()
  const input: { name?: string } = text ? JSON.parse(text) : {}
  return { message: \`Hello, \${input.name ?? 'world'}!\` }
}
`,
  },
  javascript: {
    'func.mjs': `/** Runs once per call; what it returns is the answer: a Response, a text, or anything JSON can hold. */
export default async function handle(request) {
  const text = await request.text()
  const input = text ? JSON.parse(text) : {}
  return { message: \`Hello, \${input.name ?? 'world'}!\` }
}
`,
  },
  fdk: {
    'func.js': `const fdk = require('@fnproject/fdk')

fdk.handle((input) => ({ message: \`Hello, \${input.name ?? 'world'}!\` }))
`,
    'package.json': `{
  "private": true,
  "dependencies": {
    "@fnproject/fdk": "^0.0.76"
  }
}
`,
  },
}
