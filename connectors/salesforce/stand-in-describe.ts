import { jsonAnswer, type StandInAnswer } from '../sandbox/stand-in.ts'
import type { Org } from './stand-in-org.ts'
import type { ObjectStore } from './stand-in-store.ts'

/** `GET /sobjects`: every object in short. */
export function describeGlobal(org: Org): StandInAnswer {
  return jsonAnswer(200, { encoding: 'UTF-8', maxBatchSize: 200, sobjects: org.stores().map(short) })
}

/** `GET /sobjects/{object}`. */
export function basicInformation(store: ObjectStore): StandInAnswer {
  return jsonAnswer(200, { objectDescribe: short(store), recentItems: [] })
}

/** `GET /sobjects/{object}/describe`. Fields that this user may not see are not there. */
export function describe(org: Org, store: ObjectStore): StandInAnswer {
  const fields = [...store.fields.values()].filter((field) => org.field(store, field.name) !== undefined)
  return jsonAnswer(200, {
    ...short(store),
    actionOverrides: [],
    childRelationships: [],
    compactLayoutable: true,
    fields,
    namedLayoutInfos: [],
    networkScopeFieldName: null,
    recordTypeInfos: [],
    supportedScopes: [],
  })
}

function short({ name, keyPrefix }: ObjectStore): Readonly<Record<string, unknown>> {
  const label = name.replace(/__c$/, '').replaceAll('_', ' ')
  return {
    activateable: false,
    createable: true,
    custom: name.endsWith('__c'),
    customSetting: false,
    deletable: name !== 'User',
    deprecatedAndHidden: false,
    feedEnabled: true,
    keyPrefix,
    label,
    labelPlural: `${label}s`,
    layoutable: true,
    mergeable: ['Account', 'Contact', 'Lead'].includes(name),
    mruEnabled: true,
    name,
    queryable: true,
    replicateable: true,
    retrieveable: true,
    searchable: true,
    triggerable: true,
    undeletable: true,
    updateable: true,
    urls: {},
  }
}
