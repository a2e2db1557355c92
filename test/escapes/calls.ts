import { DENIED_CALLS } from '../../src/drivers/sandbox/seccomp.ts'
import { asRoot, EAFNOSUPPORT, ENOSYS, EPERM, nowhere, type Row, withoutFilter } from './row.ts'

const NAMESPACES = {
  NEWNS: 0x00020000,
  NEWCGROUP: 0x02000000,
  NEWUTS: 0x04000000,
  NEWIPC: 0x08000000,
  NEWUSER: 0x10000000,
  NEWPID: 0x20000000,
  NEWNET: 0x40000000,
} as const

/** Only `unshare` and `clone3` know it. */
const NEWTIME = 0x80

const TIOCSTI = 0x5412
const TIOCLINUX = 0x541c

const X32_GETPID = 0x40000000 + 39

/** What the filter of system calls denies, one row an entry of its list, and one a condition. */
export function callRows(arch: 'x64' | 'arm64'): Row[] {
  return [...listed(arch), ...namespaces(), ...sockets(), ...conditions(), ...(arch === 'x64' ? x64Only : [])]
}

/** Without the filter a call fails for its arguments, which are all -1; root has the right to get that far. */
function listed(arch: 'x64' | 'arm64'): Row[] {
  return Object.entries(DENIED_CALLS[arch]).map(([name, number]) => ({
    // Its only command that is no error takes zeros.
    attempt: name === 'modify_ldt' ? `call=${number}:0` : `call=${number}`,
    what: name,
    control: asRoot,
    errno: EPERM,
  }))
}

function namespaces(): Row[] {
  const flags = Object.entries(NAMESPACES)
  const denied = { control: asRoot, errno: EPERM }
  const user = { control: withoutFilter, errno: EPERM }
  return [
    ...flags.map(([name, flag]) => ({ ...denied, attempt: `clone=${flag}`, what: `clone with ${name}` })),
    ...[...flags, ['NEWTIME', NEWTIME] as const].map(([name, flag]) => ({
      ...denied,
      attempt: `unshare=${flag}`,
      what: `unshare with ${name}`,
    })),
    // By this anybody becomes root in namespaces, with all of the kernel's doors that root has.
    ...flags
      .filter(([, flag]) => flag !== NAMESPACES.NEWUSER)
      .map(([name, flag]) => ({
        ...user,
        attempt: `clone=${flag | NAMESPACES.NEWUSER}`,
        what: `clone with NEWUSER and ${name}`,
      })),
    {
      ...user,
      attempt: `unshare=${NAMESPACES.NEWUSER | NAMESPACES.NEWNS}`,
      what: 'unshare with NEWUSER and NEWNS',
    },
    { ...user, attempt: 'own-mount', what: 'mount as root of its own namespace' },
    { ...denied, attempt: 'setns=/proc/self/ns/uts', what: 'setns with a namespace' },
    { attempt: 'clone3', what: 'clone3', control: withoutFilter, errno: ENOSYS },
  ]
}

const SOCKETS: readonly (readonly [what: string, socket: string, control: Row['control']])[] = [
  ['netlink, of devices', '16:3:15', withoutFilter],
  ['netlink, generic', '16:3:16', withoutFilter],
  ['netlink, of the firewall', '16:3:12', withoutFilter],
  ['netlink, of audits', '16:3:9', withoutFilter],
  ['raw packets', '17:3:768', asRoot],
  ['kernel crypto', '38:5:0', withoutFilter],
  ['vsock, to the host of a virtual machine', '40:1:0', withoutFilter],
  ['bluetooth', '31:3:1', withoutFilter],
  ['CAN', '29:3:1', withoutFilter],
  ['TIPC', '30:1:0', withoutFilter],
]

function sockets(): Row[] {
  return SOCKETS.map(([what, socket, control]) => ({
    attempt: `socket=${socket}`,
    what: `socket: ${what}`,
    control,
    errno: EAFNOSUPPORT,
  }))
}

function conditions(): Row[] {
  const terminal = { control: withoutFilter, errno: EPERM }
  return [
    { ...terminal, attempt: `ioctl=${TIOCSTI}`, what: 'typing into a terminal' },
    { ...terminal, attempt: `ioctl=${TIOCLINUX}`, what: 'pasting into a console' },
    // The upper half of the argument, which the kernel does not look at, must not hide the lower.
    { ...terminal, attempt: `ioctl=${2 ** 32 + TIOCSTI}`, what: 'typing into a terminal, with higher bits' },
    { ...terminal, attempt: 'ptrace', what: 'ptrace of itself' },
    { attempt: 'call=999', what: 'a call of a newer kernel', control: newer, errno: ENOSYS },
  ]
}

const newer = nowhere('this kernel does not have it either')

const x64Only: readonly Row[] = [
  {
    attempt: `call=${X32_GETPID}`,
    what: 'an x32 call',
    control: nowhere('few kernels have them: they answer ENOSYS where the filter says EPERM'),
    errno: EPERM,
  },
  {
    attempt: 'int80',
    what: 'a call as of 32 bits',
    control: withoutFilter,
  },
]
