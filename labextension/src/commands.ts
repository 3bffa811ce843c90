/**
 * Commands, for the palette, menus, keyboard shortcuts and other extensions.
 *
 * Those about dispatches take `dispatch_id` or `dispatch_ids`; with neither, they are about what is selected in the sidebar.
 */
export namespace CommandIDs {
  export const showDispatches = 'covalent:show-dispatches';
  export const refresh = 'covalent:refresh-dispatches';
  /** Opens the page of a dispatch. Arguments: `dispatch_id`, `node` (optional). */
  export const openDispatch = 'covalent:open-dispatch';
  /** Opens a comparison. Argument: `dispatch_ids`. */
  export const compare = 'covalent:compare';
  /** Argument: `by` ("day", "lattice" or "notebook"). */
  export const groupBy = 'covalent:group-by';
  /** The same for what is selected in the sidebar. */
  export const openSelected = 'covalent:open-selected';
  export const compareSelected = 'covalent:compare-selected';
  export const selectAll = 'covalent:select-all';
  export const cancel = 'covalent:cancel';
  /** Argument besides the dispatches: `reuse` ("none", "changed" or "failed"). */
  export const redispatch = 'covalent:redispatch';
  export const copyId = 'covalent:copy-id';
  export const deleteDispatch = 'covalent:delete';
  /** Argument besides the dispatches: `tags` (a list); without it, a dialog asks. */
  export const tag = 'covalent:tag';
  /** Argument besides the dispatch: `note`; without it, a dialog asks. */
  export const note = 'covalent:note';
  /** Argument besides the dispatch: `label`; without it, the name can be edited where it stands. */
  export const rename = 'covalent:rename';
  /** Inserts a cell below the active one of the current notebook. Argument: `code`. */
  export const insertCell = 'covalent:insert-cell';
  /** Inserts a cell with the code that fetches a result. */
  export const insertFetch = 'covalent:insert-fetch-code';
  /** Shows the cell that made the dispatch, in its open notebook. */
  export const goToCell = 'covalent:go-to-cell';
  /** The largest lattices and dispatches. */
  export const showDisk = 'covalent:show-disk-usage';
  export const startService = 'covalent:start-service';
  export const stopService = 'covalent:stop-service';
  export const restartService = 'covalent:restart-service';
  export const restartCluster = 'covalent:restart-cluster';
  export const openSettings = 'covalent:open-settings';
}
