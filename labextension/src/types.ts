/** What REST answers, as far as it is read here. Times are seconds since the epoch, in the clock of the service. */

export type Status =
  | 'NEW_OBJECT'
  | 'PENDING_REUSE'
  | 'DISPATCHING'
  | 'RUNNING'
  | 'COMPLETED'
  | 'FAILED'
  | 'CANCELLED'
  | 'SKIPPED';

/** Electrons by state. The service leaves zeros out. */
export interface Counts {
  total?: number;
  waiting?: number;
  queued?: number;
  running?: number;
  completed?: number;
  failed?: number;
  cancelled?: number;
  skipped?: number;
  reused?: number;
}

/** A value that exists: tag, digest, bytes, and (as base64) what is in it, where that is small. */
export type Output = ['o', string, number, (string | null)?];
/** A value of several parts; its parts are not read here. */
export type Composite = ['c', ...unknown[]];
/** In the place of a value: node, type and message of the error. */
export type Hole = ['h', number, string, string];
export type Produced = Output | Composite | Hole;

export interface DispatchRow {
  dispatch_id: string;
  root_id: string;
  parent_id: string | null;
  /** The node of the parent whose run this is. */
  parent_node: number | null;
  name: string;
  label: string;
  /** Name of the lattice's function. */
  lattice: string;
  status: Status;
  /** Number of its last event: of two rows, the higher counts. */
  seq: number;
  counts: Counts;
  created: number;
  started: number | null;
  ended: number | null;
  /** Parameter to short text. */
  inputs: Record<string, string>;
  tags: string[];
  notebook: string;
  key: string;
  seed: number;
  redispatch_of: string | null;
  error: string;
  environment: Record<string, string>;
  output?: Produced | null;
  note: string;
  /** Of what somebody wants to be told: "" (not said), "off", "end" or "failure". */
  notify?: string;
  /** What people should know: what was cut off, what could not be told. */
  notices?: string[];
}

/** What people see of a value. */
export interface Preview {
  /** Qualified name, "numpy.ndarray". */
  type: string;
  repr: string;
  size?: number;
  /** "text/html", "image/png" (base64): small, and never trusted. */
  mime?: Record<string, string>;
  /** "100×4 float64" */
  shape?: string;
  /** Of a plain scalar. */
  scalar?: boolean | number | string | null;
  warnings?: string[];
}

/** One frame of a traceback: file, line, function, the line's text, whether it is the user's own code. */
export type Frame = [string, number, string, string?, boolean?, string?];

export interface ElectronError {
  /** "ValueError" */
  type: string;
  message: string;
  frames?: Frame[];
  /** The whole formatted traceback. */
  text?: string;
  /** A line each: what it was raised from, or the exceptions of a group. */
  behind?: string[];
  /** "SIGSEGV" */
  signal?: string;
  exitcode?: number | null;
  /** What to do next. */
  hint?: string;
  cause?:
    | 'raised'
    | 'crashed'
    | 'timeout'
    | 'memory'
    | 'interrupted'
    | 'encode'
    | 'decode'
    | 'deps'
    | 'executor';
}

/** One stream of an attempt: all of its text while it is short, bytes printed, file, bytes cut out of the middle. */
export type Log = [string?, number?, string?, number?];

/** What `ct.progress` and `ct.report` said last. */
export type Progress = Record<string, unknown>;

export interface ElectronRow {
  dispatch_id: string;
  node: number;
  name: string;
  kind: string;
  status: Status;
  seq: number;
  attempt: number;
  executor: string;
  started: number | null;
  ended: number | null;
  duration: number | null;
  worker: string;
  output: Produced | null;
  preview: Preview | null;
  error: ElectronError | null;
  stdout: Log;
  stderr: Log;
  /** Id of the sublattice's run. */
  child: string | null;
  reused: boolean;
  key: string;
  /** Most memory that it had, in bytes; 0: not known. */
  rss: number;
  warnings: string[];
  progress: Progress;
}

/** One input of an electron, for people. */
export interface InputText {
  name: string;
  kind: 'literal' | 'value' | 'node' | 'template';
  text: string;
  digest?: string;
  nodes?: number[];
}

/** One attempt of an electron, as its details list it. */
export interface AttemptInfo {
  attempt: number;
  status?: string;
  executor?: string;
  started?: number | null;
  ended?: number | null;
  worker?: string;
  error?: ElectronError | null;
  stdout?: Log;
  stderr?: Log;
}

/** Answer of `dispatches/{id}/electrons/{node}`. */
export interface ElectronDetail extends ElectronRow {
  inputs: InputText[];
  source: string;
  signature: string;
  doc: string;
  file: string;
  line: number;
  /** Where the lattice calls it; 0 where that is not known. */
  call_file: string;
  call_line: number;
  captured: Record<string, string>;
  options: Record<string, unknown>;
  after: number[];
  attempts: AttemptInfo[];
}

/** Answer of `dispatches/{id}/graph`. */
export interface Graph {
  /** Id, name, kind, status, id of the sublattice's run. */
  nodes: [number, string, string, Status, string | null][];
  /** From, to, parameter. */
  edges: [number, number, string][];
  /** Node to what it was given besides values of other nodes: "C=0.1, kernel='rbf'". */
  inputs?: Record<string, string>;
}

/** Answer of `dispatches/{id}/result`: the electrons whose values the lattice returns. */
export interface ResultOf {
  status: Status;
  parts: ResultPart[];
  /** Parts that there are, told or not. */
  total: number;
  /** The one part is all that was returned. */
  whole: boolean;
  /** Of all that was returned, as far as it is known. */
  text?: string;
  type?: string;
  /** "3 items" */
  shape?: string;
}

export interface ResultPart {
  node: number;
  name: string;
  /** Where it lies in what was returned, or which piece of its value it is: "loss", "[0].score"; "" is all of it. */
  path: string;
  status: Status;
  preview: Preview | null;
  child: string | null;
}

/** What a running attempt has printed so far: read it by offset. */
export interface LiveLog {
  dispatch_id: string;
  node: number;
  attempt: number;
  stdout_size: number;
  stderr_size: number;
  progress?: Progress;
}

export interface Health {
  ok: boolean;
  version: string;
  pid: number;
  store: string;
  store_id: string;
  host: string;
  started: number;
  running: number;
  seq: number;
  problem: string;
  /** Seconds without need after which the service goes; 0: never. */
  idle_timeout: number;
  warnings?: string[];
  /** What the service lives in, and what that means for runs: "lives in a login session ...". */
  place?: string;
  place_text?: string;
}

export interface DispatchList {
  dispatches: DispatchRow[];
  seq: number;
  total: number;
  /** Pass it as `before` for the page of older ones. */
  next: string | null;
  /** Of those that have any: how many runs of sublattices. */
  children?: Record<string, number>;
}

/** Dispatches that share a lattice or a notebook (`key`). */
export interface Group {
  key: string;
  total: number;
  running: number;
  failed: number;
  /** When the newest of them was dispatched. */
  newest: number;
  completed?: number;
  cancelled?: number;
}

/** Answer of `summary`. */
export interface Summary {
  states: Record<string, number>;
  groups: Group[];
  /** Changes with a higher number are not counted. */
  seq: number;
}

/** One executor of one host, as `executors` lists them. */
export interface ExecutorState {
  host: string;
  name: string;
  slots: number;
  workers: number;
  state: string;
  message: string;
  packs: number;
  info: Record<string, unknown>;
}

/** Answer of `disk`: bytes. */
export interface Disk {
  store: string;
  total: number;
  parts: Record<string, number>;
  free: number;
  budget: number;
  dispatches: { dispatch_id: string; lattice: string; bytes: number }[];
  lattices: { lattice: string; bytes: number }[];
}

/** Answer of `config`. */
export interface Config {
  settings: Record<string, unknown>;
  /** Where each setting comes from: "default", a file, a variable. */
  sources: Record<string, string>;
  help: Record<string, string>;
  /** After a change: what may not be meant. */
  warnings?: string[];
}

export interface ElectronList {
  electrons: ElectronRow[];
  total: number;
  seq: number;
}

/** Coalesced changes, as followers hear them. */
export interface Changes {
  /** Number of the last event that is told here. */
  seq: number;
  /** Something may have been missed: take a snapshot. Nothing else is told then. */
  reset: boolean;
  dispatches: DispatchRow[];
  electrons: ElectronRow[];
  /** Ids of dispatches. */
  deleted: string[];
  logs: LiveLog[];
}

/** Answer of `events`. */
export interface FeedAnswer extends Changes {
  /** There is more: ask again with this. */
  next: number | null;
}
