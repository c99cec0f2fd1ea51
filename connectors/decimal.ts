const DECIMAL = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?$/

/** Longest exponent that is written out: beyond it no field could hold the digits. */
const MAX_EXPONENT = 400

/**
 * The number as plain digits without exponent, superfluous zeros or plus sign, exact to the last digit; null if the text is no
 * finite decimal number. Two texts mean the same number if and only if the results are equal.
 */
export function plainDecimal(text: string): string | null {
  const parts = DECIMAL.exec(text)
  if (!parts) return null
  const [, sign = '', whole = '', fraction = '', exponentText = '0'] = parts
  if (whole === '' && fraction === '') return null
  const exponent = Number(exponentText)
  if (Math.abs(exponent) > MAX_EXPONENT) return null
  const digits = whole + fraction
  const point = whole.length + exponent
  const padded = point <= 0 ? '0'.repeat(1 - point) + digits : digits.padEnd(point, '0')
  const split = Math.max(point, 1)
  const integer = padded.slice(0, split).replace(/^0+(?=\d)/, '')
  const rest = padded.slice(split).replace(/0+$/, '')
  if (integer === '0' && rest === '') return '0'
  return `${sign === '-' ? '-' : ''}${integer}${rest === '' ? '' : `.${rest}`}`
}
