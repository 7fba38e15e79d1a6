/** Where node finds what only a component has: the contract's imports, and this package wherever the plugin lies. */

const INTERFACE = /^windlass:rotation\/([a-z]+)@/;
const PACKAGE = /^windlass(?:\/([a-z]+))?$/;

/**
 * @param {string} specifier
 * @param {object} context
 * @param {(specifier: string, context: object) => unknown} next
 */
export function resolve(specifier, context, next) {
  const [, name] = INTERFACE.exec(specifier) ?? [];
  if (name) return { url: new URL(`stage/${name}.js`, import.meta.url).href, shortCircuit: true };
  const own = PACKAGE.exec(specifier);
  if (own) return { url: new URL(`${own[1] ?? "windlass"}.js`, import.meta.url).href, shortCircuit: true };
  return next(specifier, context);
}
