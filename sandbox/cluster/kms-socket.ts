/** The unix socket of a KMS plugin, and what arrives on it on its way to the gRPC server. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { authorityFilter } from './kms-authority';

/** A listening socket. */
export interface KmsSocket {
  /** Listens no more and cuts every connection. */
  close(): void;
}

/**
 * Listens on a path; each connection is handed on with its requests filtered.
 * @throws Error of listening, as it came
 */
export async function listenOnSocket(path: string, accept: (connection: Duplex) => void): Promise<KmsSocket> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    accept(new FilteredConnection(socket));
  });
  server.listen(path);
  await once(server, 'listening');
  return {
    close() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

/** A socket whose incoming bytes go through an authority filter. */
class FilteredConnection extends Duplex {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    const filter = authorityFilter();
    socket.on('data', (chunk: Buffer) => {
      let passed: Buffer;
      try {
        passed = filter.pass(chunk);
      } catch (error) {
        // Not HTTP/2: this client is not an API server.
        this.destroy(error instanceof Error ? error : undefined);
        return;
      }
      if (passed.length > 0 && !this.push(passed)) socket.pause();
    });
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
    // The gRPC server listens while the connection is its own; a later error has no effect.
    this.on('error', () => undefined);
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  override _final(done: () => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}
