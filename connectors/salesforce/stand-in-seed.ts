import { field, type Field } from './stand-in-fields.ts'

/** What the stand-in's org holds at start: no records, these objects and fields. */

export interface ObjectSeed {
  readonly name: string
  readonly keyPrefix: string
  readonly fields: readonly Field[]
}

const READ_ONLY = { createable: false, updateable: false } as const

/** Kept by Salesforce itself on every record. */
const SYSTEM: readonly Field[] = [
  field({ name: 'Id', label: 'Record ID', type: 'id', idLookup: true, defaulted: true, ...READ_ONLY }),
  field({ name: 'IsDeleted', label: 'Deleted', type: 'boolean', ...READ_ONLY }),
  field({ name: 'CreatedDate', type: 'datetime', required: true, defaulted: true, ...READ_ONLY }),
  field({ name: 'LastModifiedDate', type: 'datetime', required: true, defaulted: true, ...READ_ONLY }),
  field({ name: 'SystemModstamp', type: 'datetime', required: true, defaulted: true, ...READ_ONLY }),
]

const OWNER = field({
  name: 'OwnerId',
  type: 'reference',
  referenceTo: ['User'],
  relationshipName: 'Owner',
  required: true,
  defaulted: true,
})

/** As in the recording: found without case, 191 characters long. */
const EXTERNAL_ID = field({ name: 'External_Id__c', label: 'External Id', length: 191, externalId: true, unique: true })

/** What syncs are tried with: a field of each type. */
const CUSTOM: readonly Field[] = [
  EXTERNAL_ID,
  field({ name: 'Case_Key__c', length: 80, externalId: true, unique: true, caseSensitive: true }),
  field({ name: 'Legacy_Id__c', length: 80, externalId: true }),
  field({ name: 'Number_Key__c', type: 'double', precision: 18, scale: 0, externalId: true, unique: true }),
  field({ name: 'Tax_Number__c', length: 40, unique: true }),
  field({ name: 'Plan__c', type: 'picklist', values: ['free', 'pro', 'enterprise'], restricted: true }),
  field({ name: 'Interests__c', type: 'multipicklist', length: 4_099, values: ['art', 'music', 'sport'], restricted: true }),
  field({ name: 'MRR__c', label: 'MRR', type: 'currency', precision: 18, scale: 2 }),
  field({ name: 'Score__c', type: 'double', precision: 18, scale: 6 }),
  field({ name: 'Seats__c', type: 'int' }),
  field({ name: 'Active__c', type: 'boolean' }),
  field({ name: 'Customer_Since__c', type: 'datetime' }),
  field({ name: 'Renewal__c', type: 'date' }),
  field({ name: 'Call_At__c', type: 'time' }),
  field({ name: 'email_field__c', label: 'Email field', type: 'email', length: 80 }),
  field({ name: 'Notes__c', type: 'textarea', length: 32_768 }),
  field({ name: 'Formula__c', ...READ_ONLY }),
]

const INDUSTRIES = ['Agriculture', 'Banking', 'Education', 'Energy', 'Technology', 'Other']

export const OBJECTS: readonly ObjectSeed[] = [
  {
    name: 'Account',
    keyPrefix: '001',
    fields: [
      ...SYSTEM,
      field({ name: 'Name', label: 'Account Name', required: true }),
      field({ name: 'Industry', type: 'picklist', values: INDUSTRIES }),
      field({ name: 'Website', type: 'url' }),
      field({ name: 'Phone', type: 'phone', length: 40 }),
      field({ name: 'BillingCity', length: 40 }),
      field({ name: 'BillingAddress', type: 'address', ...READ_ONLY }),
      field({ name: 'NumberOfEmployees', label: 'Employees', type: 'int' }),
      field({ name: 'AnnualRevenue', type: 'currency', precision: 18, scale: 0 }),
      field({ name: 'ParentId', type: 'reference', referenceTo: ['Account'], relationshipName: 'Parent' }),
      OWNER,
      ...CUSTOM,
    ],
  },
  {
    name: 'Contact',
    keyPrefix: '003',
    fields: [
      ...SYSTEM,
      field({ name: 'Name', label: 'Full Name', required: true, ...READ_ONLY }),
      field({ name: 'FirstName', length: 40 }),
      field({ name: 'LastName', length: 80, required: true }),
      field({ name: 'Email', type: 'email', length: 80, idLookup: true }),
      field({ name: 'Title', length: 128 }),
      field({ name: 'Birthdate', type: 'date' }),
      field({ name: 'MailingCity', length: 40 }),
      field({ name: 'AccountId', type: 'reference', referenceTo: ['Account'], relationshipName: 'Account' }),
      OWNER,
      ...CUSTOM,
    ],
  },
  {
    name: 'Lead',
    keyPrefix: '00Q',
    fields: [
      ...SYSTEM,
      field({ name: 'Name', label: 'Full Name', required: true, ...READ_ONLY }),
      field({ name: 'FirstName', length: 40 }),
      field({ name: 'LastName', length: 80, required: true }),
      field({ name: 'Company', required: true }),
      field({ name: 'Email', type: 'email', length: 80, idLookup: true }),
      field({ name: 'Status', type: 'picklist', values: ['Open', 'Working', 'Closed'], required: true, defaulted: true }),
      OWNER,
      EXTERNAL_ID,
    ],
  },
  {
    name: 'Task',
    keyPrefix: '00T',
    fields: [
      ...SYSTEM,
      field({ name: 'Subject' }),
      field({ name: 'WhoId', label: 'Name', type: 'reference', referenceTo: ['Contact', 'Lead'], relationshipName: 'Who' }),
      EXTERNAL_ID,
    ],
  },
  {
    name: 'Subscription__c',
    keyPrefix: 'a01',
    fields: [
      ...SYSTEM,
      field({ name: 'Name', label: 'Subscription Name', length: 80, required: true, defaulted: true }),
      // Master-detail: needed, and not moved to another parent afterwards.
      field({
        name: 'Account__c',
        type: 'reference',
        referenceTo: ['Account'],
        relationshipName: 'Account__r',
        required: true,
        updateable: false,
      }),
      ...CUSTOM,
    ],
  },
  {
    name: 'User',
    keyPrefix: '005',
    fields: [...SYSTEM, field({ name: 'Username', length: 80, required: true, idLookup: true, unique: true }), EXTERNAL_ID],
  },
]
