// Writes pieces of sizes around those of pipes and frames, to both streams in turn.
const sizes = [1, 4_095, 4_096, 4_097, 32_767, 32_769, 70_000, 8, 3]

for (const [i, size] of sizes.entries())
  for (const stream of [process.stdout, process.stderr]) stream.write(String(i).repeat(size))
