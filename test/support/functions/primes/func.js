/** The primes up to the number in the input, as many as they are: `{"max": 1000}` gives `{"primes": 168}`. */
export default function primes({ max }) {
  const isComposite = new Uint8Array(max + 1)
  let count = 0
  for (let n = 2; n <= max; n++) {
    if (isComposite[n]) continue
    count++
    for (let multiple = n * n; multiple <= max; multiple += n) isComposite[multiple] = 1
  }
  return { primes: count }
}
