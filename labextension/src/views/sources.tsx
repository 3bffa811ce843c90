import * as React from 'react';

import { DispatchModel } from '../dispatch';
import { useSurroundings, useTrans } from './context';
import { Captured } from './details';
import { fileName } from './errors';
import { Answer, useAnswer, useModel } from './hooks';
import { CopyButton } from './parts';
import { Pending } from './pending';
import { Source } from './preview';

interface Recorded {
  name: string;
  source?: string;
  file?: string;
  line?: number;
  /** What people call the file, where that is a notebook's cell: "Cell In[5]". */
  place?: string;
  signature?: string;
  doc?: string;
  captured?: Record<string, string>;
}

/** The part of a manifest that is shown. */
export interface Manifest {
  lattice: Recorded;
  functions?: Recorded[];
  nodes: { function: number; name: string }[];
  environment: Environment | null;
  client?: Record<string, string>;
  warnings?: string[];
  seed?: number;
  parent?: [string, number] | null;
}

export interface Environment {
  interpreter: string;
  prefix: string;
  python: string;
  cloudpickle: string;
  packages?: Record<string, string>;
  cwd?: string;
  sys_path?: string[];
  variables?: string[];
  modules?: Record<string, string>;
  host?: string;
}

/** The manifest of a dispatch; it never changes. */
export function useManifest(model: DispatchModel): Answer<Manifest> {
  const { source } = useSurroundings();
  return useAnswer<Manifest>(() => source.request<Manifest>(`dispatches/${model.id}/manifest`), [model, model.id]);
}

/** The lattice and the functions of its electrons, as they were dispatched. */
export function Sources({ model, chosen }: { model: DispatchModel; chosen: number | null }): JSX.Element {
  useModel(model);
  const trans = useTrans();
  const { data, problem, again } = useManifest(model);
  const box = React.useRef<HTMLDivElement>(null);
  const mine = data && chosen !== null ? data.nodes[chosen]?.function : undefined;
  React.useEffect(() => {
    box.current?.querySelector('.cv-chosen')?.scrollIntoView({ block: 'nearest' });
  }, [mine]);
  if (!data) {
    return (
      <Pending model={model} problem={problem} again={again}>
        {trans.__('Loading the source…')}
      </Pending>
    );
  }
  const uses = new Map<number, number>();
  data.nodes.forEach(node => uses.set(node.function, (uses.get(node.function) ?? 0) + 1));
  const functions = data.functions ?? [];
  return (
    <div className="cv-sources" ref={box}>
      <FunctionView recorded={data.lattice} note={trans.__('lattice')} chosen={false} />
      {functions.map((recorded, i) =>
        uses.has(i) && recorded.source ? (
          <FunctionView
            key={i}
            recorded={recorded}
            note={uses.get(i) === 1 ? trans.__('1 electron') : trans.__('%1 electrons', uses.get(i))}
            chosen={i === mine}
          />
        ) : null
      )}
    </div>
  );
}

function FunctionView({ recorded, note, chosen }: { recorded: Recorded; note: string; chosen: boolean }): JSX.Element {
  const trans = useTrans();
  const { name, source = '', file, line, place, captured = {} } = recorded;
  return (
    <section className={`cv-function ${chosen ? 'cv-chosen' : ''}`} aria-label={name}>
      <h2>
        {name} <span className="cv-mute cv-plain">{note}</span>
        <span className="cv-space" />
        {file && (
          <span className="cv-mute cv-plain" title={file}>
            {trans.__('%1, line %2', place || fileName(file, trans), line ?? 0)}
          </span>
        )}
        {source && <CopyButton text={source} />}
      </h2>
      {source ? <Source text={source.trimEnd()} label={name} /> : <p className="cv-mute">{trans.__('No source was recorded.')}</p>}
      <Captured captured={captured} />
    </section>
  );
}
