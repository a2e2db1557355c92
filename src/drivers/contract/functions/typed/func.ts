interface Greeting {
  readonly hello: string
}

export default async (request: Request): Promise<Greeting> => ({ hello: await request.text() })
