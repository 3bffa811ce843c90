import { ElectronRow } from '../types';

export const ID = '7e059a13-0000-4000-8000-000000000000';

/** An electron that has completed. */
export function electron(node: number, change: Partial<ElectronRow> = {}): ElectronRow {
  return {
    dispatch_id: ID,
    node,
    name: `train_${node}`,
    kind: 'electron',
    status: 'COMPLETED',
    seq: 1,
    attempt: 1,
    executor: 'dask',
    started: 1000,
    ended: 1001,
    duration: 1,
    worker: 'host:1',
    output: null,
    preview: null,
    error: null,
    stdout: [],
    stderr: [],
    child: null,
    reused: false,
    key: '',
    rss: 0,
    warnings: [],
    progress: {},
    ...change
  };
}
