import { type Command, InvalidArgumentError, Option } from 'commander'
import type { World } from '../compose.ts'
import { systemRandom } from '../core/random.ts'
import { parseBytes } from '../core/units.ts'
import { DRIVER_CHOICES, STRATEGY_NAMES, type StrategyName } from '../core/words.ts'
import { readEnvironment } from '../host/config.ts'
import { type Address, parseAddress } from '../host/listen.ts'
import { parseTimeLimit } from './command.ts'
import type { Io } from './io.ts'

/** What a role is given by the command line. */
export const worldOf = async (io: Io): Promise<World> => ({
  clock: io.clock,
  random: systemRandom,
  log: (await import('./log.ts')).openLog(io),
  environment: readEnvironment(io.env),
})

/** Resolves when the command is asked to stop. */
export const untilStopped = ({ signal }: Io): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })

export const nodeOptions = (command: Command): Command =>
  command
    .addOption(
      new Option('--driver <name>', 'how containers are made; auto takes the best this machine has')
        .choices(DRIVER_CHOICES)
        .default('auto'),
    )
    .option(
      '--memory <size>',
      'memory that containers may be promised, like 2G (default: nine tenths of what is free)',
      parseSize,
    )
    .option(
      '--cpus <n>',
      'CPUs that containers may be promised, like 1.5 (default: those that this process may use)',
      parseCpus,
    )
    .option(
      '--image-budget <size>',
      'disk that pulled images may take, like 20G; the least recently used go first (default: all are kept)',
      parseSize,
    )
    .option('--grace <time>', 'how long running calls may take to end when it stops', parseTimeLimit, 30_000)

export const balancerOptions = (command: Command): Command =>
  command
    .addOption(
      new Option('--strategy <name>', 'how calls are placed').choices(STRATEGY_NAMES).default('fnlb'),
    )
    .option('--hc-interval <time>', 'time between health checks of a node', parseTimeLimit, 3_000)
    .option('--hc-path <path>', 'health check of nodes that have no /node/load', '/version')
    .option('--hc-threshold <n>', 'failed checks in a row that put a node out', parseCount, 2)
    .option('--hc-timeout <time>', 'time a health check may take', parseTimeLimit, 5_000)

/** @throws InvalidArgumentError, which commander turns into its one line */
export function parsePort(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text)
  throw new InvalidArgumentError('It must be a port from 0 (any free one) to 65535.')
}

export function parseListen(text: string): Address {
  const address = parseAddress(text)
  if (address) return address
  throw new InvalidArgumentError('It must look like HOST:PORT.')
}

export function parseCount(text: string): number {
  if (/^\d{1,6}$/.test(text) && Number(text) > 0) return Number(text)
  throw new InvalidArgumentError('It must be a whole number above zero.')
}

function parseCpus(text: string): number {
  if (/^\d{1,6}(\.\d{1,6})?$/.test(text) && Number(text) > 0) return Number(text)
  throw new InvalidArgumentError('It must be a number of CPUs above zero, like 2 or 1.5.')
}

function parseSize(text: string): number {
  try {
    return parseBytes(text)
  } catch {
    throw new InvalidArgumentError('It must be a size with a unit, like 512M or 2G.')
  }
}

/** Options of the roles as commander hands them over. */
export interface RoleOptions {
  readonly memory?: number
  readonly cpus?: number
  readonly imageBudget?: number
  readonly grace?: number
  readonly strategy?: StrategyName
  readonly hcInterval?: number
  readonly hcPath?: string
  readonly hcThreshold?: number
  readonly hcTimeout?: number
}

/** The same, in the words of the roles. */
export interface RoleSettings {
  readonly memory: number | undefined
  readonly cpus: number | undefined
  readonly imageBudget: number | undefined
  readonly grace: number | undefined
  readonly strategy: StrategyName
  readonly healthInterval: number | undefined
  readonly healthPath: string | undefined
  readonly healthThreshold: number | undefined
  readonly healthTimeout: number | undefined
}

export const roleSettings = (options: RoleOptions): RoleSettings => ({
  memory: options.memory,
  cpus: options.cpus,
  imageBudget: options.imageBudget,
  grace: options.grace,
  strategy: options.strategy ?? 'fnlb',
  healthInterval: options.hcInterval,
  healthPath: options.hcPath,
  healthThreshold: options.hcThreshold,
  healthTimeout: options.hcTimeout,
})
