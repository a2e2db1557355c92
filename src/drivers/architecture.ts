/** What Go calls this machine's processor, and so images do. */
export const ARCHITECTURE: string = process.arch === 'x64' ? 'amd64' : process.arch
