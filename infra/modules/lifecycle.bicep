// What is deleted by age: archived uploads, and events that could not be delivered. Never results, never uploads that wait.
param accountName string
@description('0: archives are kept for ever.')
param retentionDays int
param archives array
param deadLetterContainer string

var prefixes = [for name in archives: '${name}/']
var archived = {
  name: 'archived-uploads'
  enabled: true
  type: 'Lifecycle'
  definition: {
    filters: { blobTypes: ['blockBlob'], prefixMatch: prefixes }
    actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: retentionDays } } }
  }
}
var undelivered = {
  name: 'undelivered-events'
  enabled: true
  type: 'Lifecycle'
  definition: {
    filters: { blobTypes: ['blockBlob'], prefixMatch: ['${deadLetterContainer}/'] }
    actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: 30 } } }
  }
}

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: accountName
}

resource policy 'Microsoft.Storage/storageAccounts/managementPolicies@2023-05-01' = {
  parent: account
  name: 'default'
  properties: { policy: { rules: retentionDays > 0 ? [archived, undelivered] : [undelivered] } }
}
