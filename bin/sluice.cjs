#!/usr/bin/env node
'use strict'
/**
 * The command of the package, for any Node from 18 on: runs the command line on this Node when that is new enough,
 * else on the pinned one, which npm fetches once into the user's cache.
 */
const { spawn, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { pathToFileURL } = require('node:url')

const MAIN = path.join(__dirname, '../dist/cli/main.js')
const NEEDED = 26
const THIS = process.versions.node

if (Number.parseInt(THIS, 10) >= NEEDED) {
  silenceExperiments()
  import(pathToFileURL(MAIN).href)
} else {
  run(findNode())
}

/** What is experimental in Node is no news to whoever runs a command. */
function silenceExperiments() {
  const { emitWarning } = process
  process.emitWarning = (warning, kind, ...rest) => {
    if (kind !== 'ExperimentalWarning') emitWarning.call(process, warning, kind, ...rest)
  }
}

/** The pinned Node for this machine, fetched when it is not there yet. */
function findNode() {
  const packages = require('../toolchain/package.json').optionalDependencies
  const name = Object.keys(packages).find((each) => each.endsWith(`-${process.platform}-${process.arch}`))
  if (name === undefined) fail(`there is none to fetch for ${process.platform} on ${process.arch}`)
  const version = packages[name]
  const cache = process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache')
  const dir = path.join(cache, 'sluice', `node-${version}`)
  const node = path.join(dir, 'node_modules', name, 'bin/node')
  if (!fs.existsSync(node)) fetchNode({ name, version, dir, node })
  return node
}

/** Whole or not at all: another start may do the same at the same time. */
function fetchNode({ name, version, dir, node }) {
  console.error(`sluice: needs Node ${NEEDED}, this is ${THIS}; fetching Node ${version} into ${dir}, once …`)
  fs.mkdirSync(path.dirname(dir), { recursive: true })
  const making = fs.mkdtempSync(`${dir}-`)
  try {
    fs.writeFileSync(path.join(making, 'package.json'), '{"private":true}')
    const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
    const npm = spawnSync('npm', ['install', ...quiet, `${name}@${version}`], {
      cwd: making,
      env: ownEnvironment(),
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    if (npm.status !== 0) fail(`npm could not fetch it${npm.error ? `: ${npm.error.message}` : ''}`)
    fs.renameSync(making, dir)
  } catch (error) {
    if (!fs.existsSync(node)) throw error // otherwise the other start was first
  } finally {
    fs.rmSync(making, { recursive: true, force: true })
  }
}

/** `npx` tells the npm below it where to install; this is to be installed where it was said. */
function ownEnvironment() {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^npm_config_(local_prefix|global|prefix|workspace|include|omit)/i.test(name),
  )
  return Object.fromEntries(own)
}

function run(node) {
  const args = ['--disable-warning=ExperimentalWarning', MAIN, ...process.argv.slice(2)]
  const child = spawn(node, args, { stdio: 'inherit' })
  // A terminal's Ctrl-C reaches both; what is sent to this one is passed on. It ends when the other has.
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'))
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => fail(`it could not be started: ${error.message}`))
  child.on('exit', (code, signal) => process.exit(code ?? 128 + os.constants.signals[signal]))
}

function fail(why) {
  console.error(`sluice: needs Node ${NEEDED} or newer, this is ${THIS}; ${why}`)
  console.error('sluice: install it from https://nodejs.org, then run this again')
  process.exit(7)
}
