import type { Property } from './stand-in-properties.ts'

/** What the stand-in's account holds at start: no records, these objects and properties. */

export interface Schema {
  readonly objectTypeId: string
  readonly name: string
  readonly fullyQualifiedName: string
  readonly labels: { readonly singular: string; readonly plural: string }
  readonly primaryDisplayProperty: string
  readonly requiredProperties: readonly string[]
  readonly searchableProperties: readonly string[]
  readonly archived: boolean
}

export const PORTAL_ID = 4_711

type Loose = Partial<Property> & { readonly name: string }

/** A property with everything that was left out filled in as HubSpot does for one made by hand. */
export function property(given: Loose & { readonly values?: readonly string[] }): Property {
  const { values, ...rest } = given
  const label = given.label ?? given.name
  return {
    label,
    type: 'string',
    fieldType: 'text',
    groupName: 'custom',
    description: '',
    options: (values ?? []).map((value, displayOrder) => ({
      label: value.charAt(0).toUpperCase() + value.slice(1),
      value,
      hidden: false,
      displayOrder,
    })),
    hasUniqueValue: false,
    calculated: false,
    externalOptions: false,
    hidden: false,
    hubspotDefined: false,
    archived: false,
    formField: true,
    modificationMetadata: { archivable: true, readOnlyDefinition: false, readOnlyValue: false },
    ...rest,
  }
}

function own(name: string, more: Omit<Partial<Property>, 'name'> & { values?: readonly string[] } = {}): Property {
  return property({ name, hubspotDefined: true, groupName: 'information', ...more })
}

const READ_ONLY = { modificationMetadata: { archivable: false, readOnlyDefinition: true, readOnlyValue: true } }

const EVERYWHERE: readonly Property[] = [
  own('hs_object_id', { type: 'number', fieldType: 'number', ...READ_ONLY }),
  own('createdate', { type: 'datetime', fieldType: 'date', ...READ_ONLY }),
  own('hs_lastmodifieddate', { type: 'datetime', fieldType: 'date', ...READ_ONLY }),
  own('hs_merged_object_ids', { type: 'enumeration', fieldType: 'checkbox', externalOptions: true, ...READ_ONLY }),
  own('hubspot_owner_id', { type: 'enumeration', fieldType: 'select', externalOptions: true }),
]

const STAGES = ['subscriber', 'lead', 'marketingqualifiedlead', 'salesqualifiedlead', 'opportunity', 'customer', 'evangelist', 'other']

const OBJECTS: Readonly<Record<string, readonly Property[]>> = {
  contacts: [
    own('email'),
    own('firstname', { label: 'First name' }),
    own('lastname', { label: 'Last name' }),
    own('phone', { fieldType: 'phonenumber' }),
    own('company'),
    own('jobtitle', { label: 'Job title' }),
    own('lifecyclestage', { type: 'enumeration', fieldType: 'radio', values: STAGES }),
    own('hs_additional_emails', { type: 'enumeration', fieldType: 'checkbox', externalOptions: true, ...READ_ONLY }),
    own('hs_full_name_or_email', { calculated: true }),
    property({ name: 'full_name' }),
    property({ name: 'plan', type: 'enumeration', fieldType: 'select', values: ['free', 'pro', 'enterprise'] }),
    property({ name: 'mrr', type: 'number', fieldType: 'number' }),
    property({ name: 'customer_since', type: 'datetime', fieldType: 'date' }),
    property({ name: 'birthday', type: 'date', fieldType: 'date' }),
    property({ name: 'active', type: 'bool', fieldType: 'booleancheckbox', values: ['true', 'false'] }),
    property({ name: 'interests', type: 'enumeration', fieldType: 'checkbox', values: ['art', 'music', 'sport'] }),
    property({ name: 'mobile', type: 'phone_number', fieldType: 'phonenumber' }),
    property({ name: 'notes', fieldType: 'textarea' }),
  ],
  companies: [own('name'), own('domain'), own('city'), own('numberofemployees', { type: 'number', fieldType: 'number' })],
  deals: [
    own('dealname'),
    own('dealstage', { type: 'enumeration', fieldType: 'radio', values: ['appointmentscheduled', 'closedwon', 'closedlost'] }),
    own('pipeline', { type: 'enumeration', fieldType: 'select', values: ['default'] }),
    own('amount', { type: 'number', fieldType: 'number' }),
    own('closedate', { type: 'datetime', fieldType: 'date' }),
  ],
  tickets: [
    own('subject'),
    own('content', { fieldType: 'textarea' }),
    own('hs_pipeline', { type: 'enumeration', fieldType: 'select', values: ['0'] }),
    own('hs_pipeline_stage', { type: 'enumeration', fieldType: 'select', values: ['1', '2', '3', '4'] }),
    own('hs_external_object_ids'),
  ],
  products: [own('name'), own('hs_sku'), own('price', { type: 'number', fieldType: 'number' })],
  line_items: [own('name'), own('hs_external_id'), own('quantity', { type: 'number', fieldType: 'number' })],
}

/** Properties of every object at start, by the object's type as paths name it. */
export function seedProperties(): Map<string, Map<string, Property>> {
  // HubSpot lets nobody make a unique property for products: there `hs_sku` is the only one.
  const made = (type: string): Property => property({ name: 'external_id', label: 'External id', hasUniqueValue: type !== 'products' })
  return new Map(Object.entries(OBJECTS).map(([type, properties]) => [type, catalogue([...properties, made(type)])]))
}

/** Properties with those that every object has. */
export function catalogue(properties: readonly Property[]): Map<string, Property> {
  return new Map([...EVERYWHERE, ...properties].map((each) => [each.name, each]))
}

/** Unique though `hasUniqueValue` is false, by object type. */
export const BUILT_IN_UNIQUE: Readonly<Record<string, string>> = {
  contacts: 'email',
  products: 'hs_sku',
  tickets: 'hs_external_object_ids',
  line_items: 'hs_external_id',
}

/** `0-N` of the standard objects, as messages name them. */
export const TYPE_IDS: Readonly<Record<string, string>> = {
  contacts: '0-1',
  companies: '0-2',
  deals: '0-3',
  tickets: '0-5',
  products: '0-7',
  line_items: '0-8',
}
