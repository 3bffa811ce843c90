import * as React from 'react';

import { resultCell } from '../cells';
import { DispatchModel } from '../dispatch';
import { ResultOf, ResultPart } from '../types';
import { useActions, useSurroundings, useTrans } from '../views/context';
import { isEnded, Trans } from '../states';
import { useAnswer, useModel } from '../views/hooks';
import { Button, CopyButton, Empty } from '../views/parts';
import { Pending } from '../views/pending';
import { PreviewView } from '../views/preview';
import { resultPreview } from '../views/result';

/** What the lattice returned, as pictures, tables and text of the electrons whose values are in it. */
export function ResultView({ model }: { model: DispatchModel }): JSX.Element {
  useModel(model);
  const trans = useTrans();
  const { source } = useSurroundings();
  const status = model.row?.status;
  const ask = () => source.request<ResultOf>(`dispatches/${model.id}/result`);
  const { data, problem, again } = useAnswer(ask, [model, model.id, status, model.row?.counts.completed]);
  if (!data) {
    return (
      <Pending model={model} problem={problem} again={again}>
        {trans.__('Looking…')}
      </Pending>
    );
  }
  const there = data.parts.filter(part => part.preview !== null || part.child !== null);
  const all = status === 'COMPLETED' && data.text ? resultPreview(data) : null;
  if (there.length === 0 && !all) {
    return <Empty>{without(model, trans)}</Empty>;
  }
  return (
    <div className="cv-returned">
      {all && <PreviewView preview={all} />}
      {there.map((part, index) => (
        <Part key={index} part={part} named={!(data.whole && data.total === 1)} />
      ))}
      {data.total > data.parts.length && (
        <p className="cv-mute">{trans.__('and %1 more parts', data.total - data.parts.length)}</p>
      )}
      {status === 'COMPLETED' && <Fetch id={model.id} />}
    </div>
  );
}

function without(model: DispatchModel, trans: Trans): string {
  const { row } = model;
  if (row && !isEnded(row.status)) {
    return trans.__('What is returned appears here as soon as it is there.');
  }
  return row?.status === 'COMPLETED'
    ? trans.__('No preview of what it returned was recorded.')
    : trans.__('There is no result: nothing that is returned was completed.');
}

function Part({ part, named }: { part: ResultPart; named: boolean }): JSX.Element {
  const trans = useTrans();
  const { open } = useActions();
  return (
    <section className="cv-part">
      {named && (
        <h4>
          {part.path && <span className="cv-mono cv-mute">{part.path} </span>}
          {part.name} <span className="cv-mute">{part.node}</span>
        </h4>
      )}
      {part.preview ? (
        <PreviewView preview={part.preview} />
      ) : (
        part.child &&
        open && (
          <button className="cv-link" onClick={() => open(part.child!)}>
            {trans.__('the run of this sublattice')}
          </button>
        )
      )}
    </section>
  );
}

function Fetch({ id }: { id: string }): JSX.Element {
  const trans = useTrans();
  const { insertCell } = useActions();
  const code = resultCell(id);
  return (
    <div className="cv-fetch">
      {insertCell && (
        <Button onClick={() => insertCell(code)} title={code}>
          {trans.__('Fetch It into the Notebook')}
        </Button>
      )}
      <CopyButton text={code}>{trans.__('Copy Code That Fetches It')}</CopyButton>
    </div>
  );
}
