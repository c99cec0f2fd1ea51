/** A field as describe shows it; about fifty keys each. */
export type Field = Readonly<ReturnType<typeof field>>

export interface PicklistValue {
  readonly active: boolean
  readonly defaultValue: boolean
  readonly label: string
  readonly validFor: null
  readonly value: string
}

interface Given {
  readonly name: string
  readonly label?: string
  readonly type?: string
  readonly length?: number
  readonly precision?: number
  readonly scale?: number
  readonly required?: boolean
  readonly createable?: boolean
  readonly updateable?: boolean
  readonly defaulted?: boolean
  readonly externalId?: boolean
  readonly unique?: boolean
  readonly idLookup?: boolean
  readonly caseSensitive?: boolean
  readonly values?: readonly string[]
  readonly restricted?: boolean
  readonly referenceTo?: readonly string[]
  readonly relationshipName?: string
}

const SOAP_TYPES: Readonly<Record<string, string>> = {
  id: 'tns:ID',
  reference: 'tns:ID',
  boolean: 'xsd:boolean',
  int: 'xsd:int',
  double: 'xsd:double',
  currency: 'xsd:double',
  percent: 'xsd:double',
  date: 'xsd:date',
  datetime: 'xsd:dateTime',
  time: 'xsd:time',
  base64: 'xsd:base64Binary',
}

/** A field with everything that was left out filled in as Salesforce does for one made by hand. */
export function field(given: Given) {
  const type = given.type ?? 'string'
  const textual = !(type in SOAP_TYPES)
  const length = type === 'id' || type === 'reference' ? 18 : textual ? (given.length ?? 255) : 0
  const values = given.values ?? []
  return {
    aggregatable: true,
    aiPredictionField: false,
    autoNumber: false,
    byteLength: length * 3,
    calculated: false,
    calculatedFormula: null,
    cascadeDelete: false,
    caseSensitive: given.caseSensitive ?? false,
    compoundFieldName: null,
    controllerName: null,
    createable: given.createable ?? true,
    custom: given.name.endsWith('__c'),
    defaultValue: type === 'boolean' ? false : null,
    defaultValueFormula: null,
    defaultedOnCreate: given.defaulted ?? type === 'boolean',
    dependentPicklist: false,
    deprecatedAndHidden: false,
    digits: type === 'int' ? 9 : 0,
    displayLocationInDecimal: false,
    encrypted: false,
    externalId: given.externalId ?? false,
    extraTypeInfo: null,
    filterable: type !== 'base64',
    filteredLookupInfo: null,
    formulaTreatNullNumberAsZero: false,
    groupable: true,
    highScaleNumber: false,
    htmlFormatted: false,
    idLookup: given.idLookup ?? given.externalId ?? false,
    inlineHelpText: null,
    label: given.label ?? given.name.replace(/__c$/, '').replaceAll('_', ' '),
    length,
    mask: null,
    maskType: null,
    name: given.name,
    nameField: given.name === 'Name',
    namePointing: false,
    nillable: type !== 'boolean' && type !== 'id' && given.required !== true,
    permissionable: true,
    picklistValues: values.map((value): PicklistValue => ({ active: true, defaultValue: false, label: value, validFor: null, value })),
    polymorphicForeignKey: (given.referenceTo ?? []).length > 1,
    precision: given.precision ?? 0,
    queryByDistance: false,
    referenceTargetField: null,
    referenceTo: given.referenceTo ?? [],
    relationshipName: given.relationshipName ?? null,
    relationshipOrder: null,
    restrictedDelete: false,
    restrictedPicklist: given.restricted ?? false,
    scale: given.scale ?? 0,
    searchPrefilterable: false,
    soapType: SOAP_TYPES[type] ?? 'xsd:string',
    sortable: true,
    type,
    unique: given.unique ?? false,
    updateable: given.updateable ?? given.createable ?? true,
    writeRequiresMasterRead: false,
  }
}
