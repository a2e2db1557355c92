// Counts primes for a while, so that there is something to measure.
const isPrime = (number) => {
  for (let i = 2; i * i <= number; i++) if (number % i === 0) return false
  return number > 1
}

export default async (request) => {
  const { seconds = 2 } = JSON.parse((await request.text()) || '{}')
  let found = 0
  for (let number = 0, end = Date.now() + seconds * 1_000; Date.now() < end; number++)
    if (isPrime(number)) found++
  return { found }
}
