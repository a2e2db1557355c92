import { type Capabilities, type ContainerSpec, DriverError, type DriverName } from './driver.ts'

const RUNS_IMAGES = 'docker'

/**
 * Refuses what a driver cannot run, before anything is made.
 * @throws DriverError `bad-spec` or `unsupported`
 */
export function checkSpec(driver: DriverName, capabilities: Capabilities, spec: ContainerSpec): void {
  const bad = (text: string) => new DriverError('bad-spec', text)
  if (!/^[A-Za-z0-9_-]{1,63}$/.test(spec.id))
    throw bad(`id must be 1-63 of letters, digits, _ and -, got ${JSON.stringify(spec.id)}`)
  for (const [name, value] of Object.entries(spec.env))
    if (name === '' || /[=\0]/.test(name) || value.includes('\0'))
      throw bad(`env ${JSON.stringify(name)} must have a name without = and no zero byte`)
  if (spec.command?.length === 0) throw bad('command must name a program')
  for (const name of ['memory', 'cpus', 'pids', 'tmpfsSize', 'startTimeout', 'timeout'] as const)
    if (!(spec[name] >= 0)) throw bad(`${name} must not be negative, got ${spec[name]}`)
  const { kind } = spec.source
  if (!capabilities.runs.includes(kind)) {
    const other = kind === 'image' ? `; the ${RUNS_IMAGES} driver runs images` : ''
    throw new DriverError('unsupported', `the ${driver} driver does not run ${kind}s${other}`)
  }
  if (!capabilities.modes.includes(spec.mode))
    throw new DriverError('unsupported', `the ${driver} driver has no ${spec.mode} containers`)
}
