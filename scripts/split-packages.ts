/**
 * The last step of `npm run build`: what makes the drivers moves from dist/ to packages/drivers/dist, a package that a
 * driver-only user installs without the server. What stays behind imports it from there, so each class exists once.
 */
import { cpSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const FROM = join(ROOT, 'dist')
const TO = join(ROOT, 'packages/drivers/dist')
const PACKAGE = '@sluice/drivers'
const FOLDERS = ['core', 'host', 'drivers']

rmSync(TO, { recursive: true, force: true })
for (const folder of FOLDERS) cpSync(join(FROM, folder), join(TO, folder), { recursive: true })
cpSync(join(FROM, 'fdk'), join(TO, 'fdk'), { recursive: true })
for (const folder of FOLDERS) rmSync(join(FROM, folder), { recursive: true })

for (const file of readdirSync(FROM, { recursive: true, encoding: 'utf8' }))
  if (/\.(js|d\.ts)$/.test(file)) pointToPackage(join(FROM, file))
writeFileSync(join(FROM, 'drivers.js'), `export * from '${PACKAGE}'\n`)
writeFileSync(join(FROM, 'drivers.d.ts'), `export * from '${PACKAGE}'\n`)

function pointToPackage(path: string): void {
  const text = readFileSync(path, 'utf8')
  const changed = text.replace(
    /(\b(?:from|import)\s*\(?\s*)(['"])(\.[^'"]+)\2/g,
    (whole, before, quote, name) => {
      const target = relative(FROM, resolve(dirname(path), name))
      if (!FOLDERS.includes(target.split(sep)[0] as string)) return whole
      const module = target.split(sep).join('/').replace(/\.ts$/, '.js')
      return `${before}${quote}${PACKAGE}/internal/${module}${quote}`
    },
  )
  if (changed === text) return
  writeFileSync(`${path}.new`, changed)
  renameSync(`${path}.new`, path)
}
