/** The engines that `scripts/with-engines.sh` starts for the tests. */
export type EngineName = 'docker' | 'podman'

const VARIABLES = { docker: 'SLUICE_TEST_DOCKER', podman: 'SLUICE_TEST_PODMAN' } as const

export interface TestEngine {
  /** Like `unix:///run/docker.sock`; '' where there is none. */
  readonly host: string
  /** Why a suite that needs it is skipped; `false` where it is there. */
  readonly skip: string | false
}

/** @throws where one is missing although CI promises it */
export function testEngine(name: EngineName): TestEngine {
  const variable = VARIABLES[name]
  const host = process.env[variable] ?? ''
  if (host !== '') return { host, skip: false }
  if (process.env['CI']) throw new Error(`${variable} is not set: run the tests by scripts/with-engines.sh`)
  return { host, skip: `no ${name}: install it and run the tests by scripts/with-engines.sh` }
}
