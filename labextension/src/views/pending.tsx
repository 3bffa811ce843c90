import * as React from 'react';

import { DispatchModel } from '../dispatch';
import { Trans } from '../states';
import { useTrans } from './context';
import { Button, Empty } from './parts';

interface Props {
  model: DispatchModel;
  /** Why the last attempt to fetch it failed, where the view asks by itself. */
  problem?: string;
  /** What is said while it is on its way. */
  children: React.ReactNode;
}

/** In the place of what is not there yet: that it comes, or why it does not, and what can be done. */
export function Pending({ model, problem = model.problem, children }: Props): JSX.Element {
  const trans = useTrans();
  if (model.presence === 'deleted') {
    return <Empty>{deletedWords(model, trans)}</Empty>;
  }
  if (!problem) {
    return <Empty>{children}</Empty>;
  }
  return (
    <Empty>
      <p>{problem}</p>
      <Button onClick={() => model.again()}>{trans.__('Try again')}</Button>
    </Empty>
  );
}

/** Of a dispatch that was deleted before this part of it was fetched. */
export function deletedWords(model: DispatchModel, trans: Trans): string {
  const notebook = model.row?.notebook.split('/').pop();
  return notebook
    ? trans.__('This was deleted with the dispatch. To have it again, run its cell in %1 once more.', notebook)
    : trans.__('This was deleted with the dispatch. To have it again, dispatch the lattice once more.');
}
