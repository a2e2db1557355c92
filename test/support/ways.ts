import { type EngineName, testEngine } from './engine.ts'
import { canSandbox } from './sandbox.ts'

/** One way to run functions. */
export interface Way {
  readonly name: string
  readonly driver: 'process' | 'sandbox' | 'docker'
  /** Of the server. */
  readonly env: Readonly<Record<string, string>>
  /** Where its engine listens; '' where there is none. */
  readonly engine: string
  /** Why it is left out here; `false` where it is possible. */
  readonly skip: string | false
}

const onEngine = (name: EngineName): Way => {
  const { host, skip } = testEngine(name)
  return { name, driver: 'docker', env: { DOCKER_HOST: host }, engine: host, skip }
}

/** All ways to run the same functions. */
export const WAYS: readonly Way[] = [
  { name: 'process', driver: 'process', env: {}, engine: '', skip: false },
  { name: 'sandbox', driver: 'sandbox', env: {}, engine: '', skip: canSandbox() },
  onEngine('docker'),
  onEngine('podman'),
]
