import { createRequire } from 'node:module'
import type * as Snowflake from 'snowflake-sdk'

export type Driver = typeof Snowflake

/**
 * What a process that reads from Snowflake must have in its environment before it does. Left alone, the driver (3.3.0) asks the
 * metadata services of three clouds and, with any credentials of AWS that it finds, STS where it runs; it loads a native library for
 * its telemetry, and reports the form of account names.
 */
export const DRIVER_ENVIRONMENT: Readonly<Record<string, string>> = {
  SNOWFLAKE_DISABLE_PLATFORM_DETECTION: 'true',
  SNOWFLAKE_DISABLE_MINICORE: 'true',
  SF_TELEMETRY_DISABLE_CONNECTION_SHAPE: 'true',
  // Of SDKs that nothing here uses, about Node's version, among the log's lines.
  AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
}

let loaded: Driver | null = null

/**
 * The vendor's driver, loaded by the first source that needs it: 1.4 s and 50 MB for its cloud SDKs. It would log to the console and
 * to ./snowflake.log. Proxies of the environment (HTTPS_PROXY, NO_PROXY) and OCSP checks stay as the driver has them.
 */
export function driver(): Driver {
  if (loaded !== null) return loaded
  const fresh = createRequire(import.meta.url)('snowflake-sdk') as Driver
  const silent = (): void => undefined
  fresh.configure({ logLevel: 'OFF', customLogger: { error: silent, warn: silent, info: silent, debug: silent, trace: silent } })
  loaded = fresh
  return fresh
}
