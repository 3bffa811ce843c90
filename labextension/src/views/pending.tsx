import * as React from 'react';

import { DispatchModel } from '../dispatch';
import { Trans } from '../states';
import { useActions, useSurroundings, useTrans } from './context';
import { Button, Empty } from './parts';

interface Props {
  model: DispatchModel;
  /** Why the last attempt to fetch it failed, where the view asks by itself. */
  problem?: string;
  /** Asks once more, where the view asks by itself, and does so too when the service is there again. */
  again?: () => void;
  /** What is said while it is on its way. */
  children: React.ReactNode;
}

/** In the place of what is not there yet: that it comes, or why it does not, and what can be done. */
export function Pending({ model, problem = model.problem, again, children }: Props): JSX.Element {
  const trans = useTrans();
  const online = model.link === 'online';
  const before = React.useRef(online);
  React.useEffect(() => {
    if (online && !before.current && !again) {
      model.again();
    }
    before.current = online;
  }, [online]);
  if (model.presence === 'deleted') {
    return <Empty>{deletedWords(model, trans)}</Empty>;
  }
  if (model.link === 'stopped') {
    return <Empty>{trans.__('This is read as soon as the service runs again.')}</Empty>;
  }
  return (
    <Unanswered problem={problem} again={again ?? (() => model.again())}>
      {children}
    </Unanswered>
  );
}

interface UnansweredProps {
  problem: string;
  again: () => void;
  children: React.ReactNode;
}

/** The same where there is no page of a dispatch around it, which says that the service is stopped. */
export function Unanswered({ problem, again, children }: UnansweredProps): JSX.Element {
  const trans = useTrans();
  const { source } = useSurroundings();
  return (
    <Empty>
      {problem ? (
        <>
          <p>{problem}</p>
          {source.link === 'stopped' && <StartButton />} <Button onClick={again}>{trans.__('Try Again')}</Button>
        </>
      ) : (
        children
      )}
    </Empty>
  );
}

/** Where the service was stopped. */
export function StartButton(): JSX.Element | null {
  const trans = useTrans();
  const { startService } = useActions();
  return startService ? <Button onClick={startService}>{trans.__('Start')}</Button> : null;
}

/** Of a dispatch that was deleted before this part of it was fetched. */
export function deletedWords(model: DispatchModel, trans: Trans): string {
  const notebook = model.row?.notebook.split('/').pop();
  return notebook
    ? trans.__('This was deleted with the dispatch. To have it again, run its cell in %1 once more.', notebook)
    : trans.__('This was deleted with the dispatch. To have it again, dispatch the lattice once more.');
}
