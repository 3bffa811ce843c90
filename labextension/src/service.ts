import { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import { Feed } from './feed';
import { messageOf, post, RequestError } from './source';
import { hasEnded } from './states';
import { Changes, Disk, ExecutorState, Health } from './types';

/** Time between two looks, in ms. The service writes to its store for each. */
const LOOK_EVERY = 30_000;
/** Time between a change of a dispatch and a look at the executors, in ms. */
const AFTER_CHANGES = 1500;
/** Time between two looks at the disk, in ms: all files are counted for each. */
const WEIGH_EVERY = 300_000;
/** Least time between two, where dispatches end. */
const WEIGH_AFTER_ENDS = 30_000;
/** Time that a service may take to end, in ms, and between two looks whether it has. */
const ENDING = 20_000;
const GLANCE = 200;

/** How the service and its executors are, looked at while `start()`ed; and what can be done about it. */
export class ServiceModel implements IDisposable {
  constructor(readonly feed: Feed) {
    feed.linkChanged.connect(this._onLink, this);
    feed.overheard.connect(this._onOverheard, this);
  }

  /** Emitted after any change. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** As of the last look; null while there is no service. */
  get health(): Health | null {
    return this._health;
  }

  get executors(): readonly ExecutorState[] {
    return this._executors;
  }

  /** What the store takes on the disk; null as long as that is not known. */
  get disk(): Disk | null {
    return this._disk;
  }

  /** What is being done to the service. */
  get doing(): 'starting' | 'stopping' | '' {
    return this._doing;
  }

  /** Why it could not be started, "" otherwise. */
  get problem(): string {
    return this._problem;
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  start(): void {
    if (this._timer === 0 && !this._disposed) {
      this._timer = window.setInterval(() => void this.look(), LOOK_EVERY);
      void this.look();
    }
  }

  stop(): void {
    window.clearInterval(this._timer);
    this._timer = 0;
  }

  /** Start the service if nothing runs and nobody has stopped it from here. */
  wake(): void {
    if (this.feed.mayStart && this.feed.link === 'stopped') {
      this.startService().catch(() => undefined); // the panel shows the problem
    }
  }

  async startService(): Promise<void> {
    await this.during('starting', () => this.feed.start());
  }

  /** Suspend the service. Electrons that run go on, and are taken over by the next one. */
  async stopService(): Promise<void> {
    this.feed.mayStart = false;
    await this.during('stopping', () => this.shutDown());
  }

  async restartService(): Promise<void> {
    await this.during('stopping', () => this.shutDown());
    await this.startService();
  }

  /** End the workers of all clusters, and start new ones. What runs there is run again. */
  async restartCluster(): Promise<void> {
    await this.feed.request('cluster', {}, post({ action: 'restart' }));
    await this.look();
  }

  /** Look at the disk now. */
  async weigh(): Promise<Disk> {
    this._weighed = Date.now();
    this._disk = await this.feed.request<Disk>('disk');
    this._changed.emit();
    return this._disk;
  }

  dispose(): void {
    if (!this._disposed) {
      this._disposed = true;
      this.stop();
      window.clearTimeout(this._soon);
      window.clearTimeout(this._weighing);
      Signal.clearData(this);
    }
  }

  /** Look how the service is, unless it cannot be reached. */
  async look(): Promise<void> {
    if (this.feed.link !== 'online' || document.visibilityState === 'hidden' || this._disposed) {
      return;
    }
    try {
      const [health, answer] = await Promise.all([
        this.feed.request<Health>('health'),
        this.feed.request<{ executors: ExecutorState[] }>('executors')
      ]);
      this._health = health;
      this._executors = answer.executors;
      if (Date.now() - this._weighed > WEIGH_EVERY) {
        await this.weigh();
      }
    } catch {
      return; // the feed says what is wrong
    }
    this._changed.emit();
  }

  /** Where dispatches change, workers may come and go. */
  private _onOverheard(_: Feed, { dispatches }: Changes): void {
    if (this._timer !== 0 && this._weighing === 0 && dispatches.some(hasEnded)) {
      const pause = Math.max(AFTER_CHANGES, this._weighed + WEIGH_AFTER_ENDS - Date.now());
      this._weighing = window.setTimeout(() => {
        this._weighing = 0;
        this.weigh().catch(() => undefined); // the feed says what is wrong
      }, pause);
    }
    if (this._timer !== 0 && this._soon === 0) {
      this._soon = window.setTimeout(() => {
        this._soon = 0;
        void this.lookAtExecutors();
      }, AFTER_CHANGES);
    }
  }

  private async lookAtExecutors(): Promise<void> {
    try {
      const { executors } = await this.feed.request<{ executors: ExecutorState[] }>('executors');
      if (JSON.stringify(executors) !== JSON.stringify(this._executors)) {
        this._executors = executors;
        this._changed.emit();
      }
    } catch {
      return; // the feed says what is wrong
    }
  }

  private async shutDown(): Promise<void> {
    try {
      await this.feed.request('shutdown', {}, post({ reason: 'asked to from JupyterLab' }));
    } catch (error) {
      // it may go before it has answered
      if (!(error instanceof RequestError) || error.trouble === 'refused' || error.trouble === 'missing') {
        throw error;
      }
    }
    const until = Date.now() + ENDING;
    while (Date.now() < until) {
      try {
        await this.feed.request('health');
      } catch (error) {
        if (error instanceof RequestError && error.trouble === 'stopped') {
          this.feed.refresh();
          return;
        }
      }
      await new Promise(resolve => window.setTimeout(resolve, GLANCE));
    }
    throw new Error('the service did not end');
  }

  private async during(doing: 'starting' | 'stopping', action: () => Promise<void>): Promise<void> {
    this._doing = doing;
    this._problem = '';
    this._changed.emit();
    try {
      await action();
    } catch (error) {
      this._problem = messageOf(error);
      throw error;
    } finally {
      this._doing = '';
      this._changed.emit();
    }
  }

  private _onLink(): void {
    if (this.feed.link === 'online') {
      this.feed.mayStart = false; // it goes only where it is not needed
      this._problem = '';
      if (this._timer !== 0) {
        void this.look();
      }
    } else {
      this._health = null;
      this._executors = [];
      if (this._timer !== 0) {
        this.wake();
      }
    }
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
  private _health: Health | null = null;
  private _executors: ExecutorState[] = [];
  private _disk: Disk | null = null;
  private _weighed = 0;
  private _doing: 'starting' | 'stopping' | '' = '';
  private _problem = '';
  private _timer = 0;
  private _soon = 0;
  private _weighing = 0;
  private _disposed = false;
}
