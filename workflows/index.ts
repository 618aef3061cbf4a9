/** The workflows that the worker registers; names are their type names in Temporal. */
export { clusterLock } from './cluster-lock';
export { operation } from './operation';
