import { type Command, InvalidArgumentError, Option } from 'commander'
import type { BalancerSettings, NodeSettings, World } from '../compose.ts'
import { SluiceError } from '../core/errors.ts'
import { systemRandom } from '../core/random.ts'
import { parseBytes } from '../core/units.ts'
import { DRIVER_CHOICES, STRATEGY_NAMES, type StrategyName } from '../core/words.ts'
import { readEnvironment } from '../host/config.ts'
import { type Address, formatAddress, parseAddress } from '../host/listen.ts'
import { timeOption } from './command.ts'
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

/** What every role prints for programs. */
export const jsonOption = (command: Command): Command =>
  command.option('--json', 'print where it listens as one line of JSON')

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
    .addOption(graceOption())

export const balancerOptions = (command: Command): Command =>
  command
    .addOption(
      new Option('--strategy <name>', 'how calls are placed').choices(STRATEGY_NAMES).default('fnlb'),
    )
    .addOption(timeOption('--hc-interval <time>', 'time between health checks of a node', 3_000))
    .option('--hc-path <path>', 'health check of nodes that have no /node/load', '/version')
    .option('--hc-threshold <n>', 'failed checks in a row that put a node out', parseCount, 2)
    .addOption(timeOption('--hc-timeout <time>', 'time a health check may take', 5_000))

export const graceOption = (): Option =>
  timeOption('--grace <time>', 'how long running calls may take to end when it stops', 30_000)

export const addressOption = (flags: string, description: string, port: number): Option => {
  const address = { host: '127.0.0.1', port }
  return new Option(flags, description).argParser(parseListen).default(address, formatAddress(address))
}

/**
 * The result of a start.
 * @param given by option, so that an address that is taken names the option which chooses another
 * @throws SluiceError what the start threw
 */
export async function starting<T>(start: Promise<T>, given: Readonly<Record<string, Address>>): Promise<T> {
  return await start.catch((error: unknown) => {
    if (!(error instanceof SluiceError) || error.code !== 'address') throw error
    const taken = Object.keys(given).find((option) =>
      error.message.includes(`${formatAddress(given[option] as Address)} `),
    )
    if (taken === undefined) throw error
    throw new SluiceError('address', error.message, {
      cause: error,
      detail: `choose another with ${taken}`,
    })
  })
}

/** @throws InvalidArgumentError, which commander turns into its one line */
export function parsePort(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text)
  throw new InvalidArgumentError('It must be a port from 0 (any free one) to 65535.')
}

function parseListen(text: string): Address {
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

/** What commander makes of {@link nodeOptions}: the role's own words. */
export type NodeWords = Pick<NodeSettings, 'driver' | 'memory' | 'cpus' | 'imageBudget' | 'grace'>

/** What commander makes of {@link balancerOptions}. */
export interface BalancerWords {
  readonly strategy: StrategyName
  readonly hcInterval: number
  readonly hcPath: string
  readonly hcThreshold: number
  readonly hcTimeout: number
}

/** The same, in the words of the role. */
export const balancerSettings = (words: BalancerWords): BalancerHealth => ({
  strategy: words.strategy,
  healthInterval: words.hcInterval,
  healthPath: words.hcPath,
  healthThreshold: words.hcThreshold,
  healthTimeout: words.hcTimeout,
})

type BalancerHealth = Omit<BalancerSettings, 'listen' | 'admin' | 'nodes' | 'grace'>
