import { createServer, IncomingMessage, Server, ServerResponse } from 'node:http';
import { AddressInfo } from 'node:net';

import { ServerConnection } from '@jupyterlab/services';

import { DispatchRow } from '../types';

export interface Asked {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  body: string;
}

export interface Said {
  status?: number;
  body: unknown;
  headers?: Record<string, string>;
  /** Not an answer of Covalent's. */
  foreign?: boolean;
}

/** A real HTTP server on loopback that answers what a test tells it to. */
export class LoopbackServer {
  readonly asked: Asked[] = [];

  constructor(public answer: (asked: Asked) => Said | Promise<Said>) {
    this.server = createServer((request, response) => void this.handle(request, response));
  }

  async start(): Promise<ServerConnection.ISettings> {
    await new Promise<void>(resolve => this.server.listen(0, '127.0.0.1', resolve));
    const { port } = this.server.address() as AddressInfo;
    return ServerConnection.makeSettings({
      baseUrl: `http://127.0.0.1:${port}/user/a%40b/`,
      token: 'secret',
      fetch: globalThis.fetch,
      Request: globalThis.Request,
      Headers: globalThis.Headers
    });
  }

  /** Requests that wait for their answer. */
  open = 0;

  /** Break off all that is under way. */
  dropAll(): void {
    this.server.closeAllConnections();
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise(resolve => this.server.close(resolve));
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://localhost');
    let body = '';
    for await (const chunk of request) {
      body += chunk;
    }
    const asked = {
      method: request.method ?? 'GET',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      body
    };
    this.asked.push(asked);
    this.open += 1;
    response.on('close', () => (this.open -= 1));
    const said = await this.answer(asked);
    response.writeHead(said.status ?? 200, {
      'Content-Type': 'application/json',
      ...(said.foreign ? {} : { 'X-Covalent-Version': '0.1.0' }),
      ...said.headers
    });
    response.end(typeof said.body === 'string' ? said.body : JSON.stringify(said.body));
  }

  private readonly server: Server;
}

export function row(id: string, change: Partial<DispatchRow> = {}): DispatchRow {
  return {
    dispatch_id: id,
    root_id: id,
    parent_id: null,
    parent_node: null,
    name: 'experiment',
    label: '',
    lattice: 'experiment',
    status: 'COMPLETED',
    seq: 1,
    counts: { total: 4, completed: 4 },
    created: 1000,
    started: 1000,
    ended: 1010,
    inputs: {},
    tags: [],
    notebook: '',
    key: '',
    seed: 0,
    redispatch_of: null,
    note: '',
    error: '',
    environment: {},
    ...change
  };
}
