/** Greets whoever the body names: `{ "name": "Ada" }`. */
export default async function greet(request: Request): Promise<{ message: string }> {
  const text = await request.text()
  const input: { name?: string } = text ? JSON.parse(text) : {}
  return { message: `Hello, ${input.name ?? 'world'}!` }
}
