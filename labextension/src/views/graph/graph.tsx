import * as React from 'react';

import { DispatchModel } from '../../dispatch';
import { useTrans } from '../context';
import { isEnded } from '../../states';
import { useClock, useModel, useSize } from '../hooks';
import { Empty } from '../parts';
import { Pending } from '../pending';
import { Faces } from './faces';
import { Direction } from './layout';
import { Listing } from './listing';
import { Minimap } from './minimap';
import { usePalette } from './palette';
import { middle, neighbour, Scene, Shape, shapeFor } from './scene';
import { Legend, Tools } from './tools';
import { usePainting } from './use_painting';
import { usePointer, useWheel } from './use_pointer';
import { Children, useScene } from './use_scene';
import { LEAST, MOST, useView } from './use_view';

/** Pixels at a box's right end that open and close it. */
const MARK = 26;

export interface Chosen {
  dispatch: string;
  node: number;
}

interface Props {
  model: DispatchModel;
  chosen: Chosen | null;
  onChoose: (chosen: Chosen | null) => void;
  /** Whether the wheel zooms by itself; where the page around it scrolls, it zooms with Ctrl alone. */
  wheelZooms?: boolean;
}

/** The transport graph, live: pan, zoom, search; stacks and sublattices open in place. */
export function GraphView(props: Props): JSX.Element {
  const { model } = props;
  useModel(model);
  const trans = useTrans();
  React.useEffect(() => model.want('graph', 'electrons'), [model]);
  if (!model.graph) {
    return <Pending model={model}>{trans.__('Loading the graph…')}</Pending>;
  }
  if (model.graph.nodes.length === 0) {
    return <Empty>{trans.__('This dispatch has no electrons.')}</Empty>;
  }
  return <Drawing key={model.id} {...props} />;
}

function Drawing({ model, chosen, onChoose, wheelZooms = true }: Props): JSX.Element {
  const trans = useTrans();
  const [, draw] = React.useReducer((n: number) => n + 1, 0);
  const children = React.useMemo(() => new Children(model, draw), [model]);
  React.useEffect(() => () => children.dispose(), [children]);
  const [open, setOpen] = React.useState<ReadonlySet<string>>(new Set());
  const [direction, setDirection] = React.useState<Direction>('right');
  const [search, setSearch] = React.useState<string | null>(null);
  const [focused, setFocused] = React.useState<string | null>(null);
  const scene = useScene(model, children, open, direction);
  const faces = React.useMemo(() => new Faces(children.of, trans), [children, trans]);
  const box = React.useRef<HTMLDivElement>(null);
  const size = useSize(box);
  const { view, setView, fit, anchor } = useView(scene, size);
  const ticking = !!model.row && !isEnded(model.row.status);
  const second = Math.floor(useClock(() => model.now(), ticking));
  const stamp = `${children.revision} ${ticking ? second : 0}`;
  faces.renew(stamp);
  const palette = usePalette(box);
  const found = React.useMemo(() => matches(scene, search, faces, model), [scene, search, stamp]);
  const chosenShape = scene && chosen ? shapeFor(scene, chosen.dispatch, chosen.node) : null;
  const canvas = usePainting({
    scene, view, size, palette, faces, stamp,
    emphasis: { chosen: chosenShape?.id ?? null, focused, found }
  });

  const toggle = (shape: Shape) => {
    if (shape.role === 'cell' || (shape.nodes.length === 1 && !shape.child)) {
      return;
    }
    anchor(shape);
    setOpen(known => {
      const next = new Set(known);
      if (!next.delete(shape.id)) {
        next.add(shape.id);
      }
      return next;
    });
  };
  const centre = (shape: Shape) => {
    const [x, y] = middle(shape);
    const scale = Math.max(view.scale, 0.8);
    setView({ scale, x: size.width / 2 - x * scale, y: size.height / 2 - y * scale });
  };
  const reveal = (shape: Shape) => {
    const [x, y] = [shape.x * view.scale + view.x, shape.y * view.scale + view.y];
    const inside = x > 0 && y > 0 && x + shape.width * view.scale < size.width && y + shape.height * view.scale < size.height;
    if (!inside) {
      centre(shape);
    }
  };
  const zoom = (factor: number, x = size.width / 2, y = size.height / 2) =>
    setView(known => {
      const scale = Math.min(MOST, Math.max(LEAST, known.scale * factor));
      const real = scale / known.scale;
      return { scale, x: x - (x - known.x) * real, y: y - (y - known.y) * real };
    });
  const click = (shape: Shape | null, x: number, y: number) => {
    if (!shape) {
      return;
    }
    const onMark = shape.child !== null && shape.role !== 'cell' && x > shape.x + shape.width - MARK;
    const onTitle = y < shape.y + 26;
    if (shape.role === 'stack' || (shape.role === 'grid' && onTitle) || onMark) {
      toggle(shape);
    } else if (shape.nodes.length === 1 && (shape.role !== 'frame' || onTitle)) {
      onChoose({ dispatch: shape.dispatch, node: shape.nodes[0] });
    }
    setFocused(null);
  };
  const pointer = usePointer(scene, view, setView, click, shape => toggle(shape));
  useWheel(box, zoom, setView, wheelZooms);

  const focusedShape = scene?.shapes.find(shape => shape.id === focused) ?? null;
  const onKeyDown = (event: React.KeyboardEvent) => {
    if (!scene || event.target !== event.currentTarget) {
      return;
    }
    const from = focusedShape ?? chosenShape ?? scene.shapes[0];
    if (event.key.startsWith('Arrow') && from) {
      const next = focused || chosenShape ? neighbour(scene, from, event.key) : from;
      if (next) {
        setFocused(next.id);
        reveal(next);
      }
    } else if (event.key === 'Enter' && focusedShape) {
      if (focusedShape.nodes.length === 1) {
        onChoose({ dispatch: focusedShape.dispatch, node: focusedShape.nodes[0] });
      } else {
        toggle(focusedShape);
      }
    } else if (event.key === ' ' && focusedShape) {
      toggle(focusedShape);
    } else if (event.key === '+' || event.key === '=') {
      zoom(1.25);
    } else if (event.key === '-') {
      zoom(0.8);
    } else if (event.key === '0') {
      fit();
    } else if (event.key === '/') {
      setSearch(search ?? '');
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };
  const listing = React.useMemo(
    () => <Listing scene={scene} faces={faces} focused={focused} chosen={chosenShape} />,
    [scene, stamp, focused, chosenShape]
  );
  const tooLarge = scene && (scene.width * view.scale > size.width * 1.02 || scene.height * view.scale > size.height * 1.02);
  return (
    <div className="cv-graph">
      <div
        className="cv-canvas"
        ref={box}
        tabIndex={0}
        role="listbox"
        aria-label={trans.__('Graph: arrow keys move, Enter chooses, Space opens')}
        aria-activedescendant={focused ? `cv-shape-${focused}` : undefined}
        onKeyDown={onKeyDown}
        {...pointer.handlers}
        title={pointer.over ? faces.words(pointer.over) : undefined}
        style={{ cursor: pointer.over ? 'pointer' : 'grab' }}
        data-boxes={scene?.shapes.length ?? 0}
        data-scale={view.scale.toFixed(4)}
        data-left={Math.round(view.x)}
        data-top={Math.round(view.y)}
      >
        <canvas ref={canvas} />
        {listing}
      </div>
      <Tools
        zoom={zoom}
        fit={fit}
        turn={() => setDirection(direction === 'right' ? 'down' : 'right')}
        search={search}
        setSearch={setSearch}
        found={found}
        next={() => {
          const all = scene?.shapes.filter(shape => found?.has(shape.id)) ?? [];
          const next = all[(all.findIndex(shape => shape.id === focused) + 1) % (all.length || 1)];
          if (next) {
            setFocused(next.id);
            centre(next);
          }
        }}
      />
      <Legend />
      {scene && tooLarge && (
        <Minimap
          scene={scene}
          view={view}
          {...size}
          palette={palette}
          face={faces.of}
          stamp={stamp}
          label={trans.__('Overview')}
          onMove={(x, y) =>
            setView(known => ({ ...known, x: size.width / 2 - x * known.scale, y: size.height / 2 - y * known.scale }))
          }
        />
      )}
      {!scene && <div className="cv-graphBusy">{trans.__('Laying out %1 electrons…', model.graph!.nodes.length)}</div>}
    </div>
  );
}

/** Shapes that tell of what is searched for: by name, input, state, error, number. */
function matches(scene: Scene | null, search: string | null, faces: Faces, model: DispatchModel): Set<string> | null {
  const wanted = search?.trim().toLowerCase() ?? '';
  if (!scene || wanted === '') {
    return null;
  }
  const own = (shape: Shape) => (shape.dispatch === model.id ? shape.nodes : shape.nodes.slice(0, 1));
  return new Set(
    scene.shapes
      .filter(
        shape =>
          faces.words(shape).toLowerCase().includes(wanted) ||
          own(shape).some(node => String(node) === wanted || model.inputsOf(node).toLowerCase().includes(wanted))
      )
      .map(shape => shape.id)
  );
}
