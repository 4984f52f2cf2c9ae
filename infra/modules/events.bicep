// Where the storage account raises its events; an account has one such topic. The subscription follows the deployed code.
param location string
param tags object
param name string
@description('Empty: one is made.')
param existingName string
param accountId string

var reuse = !empty(existingName)

resource topic 'Microsoft.EventGrid/systemTopics@2022-06-15' = if (!reuse) {
  name: name
  location: location
  tags: tags
  identity: { type: 'SystemAssigned' }
  properties: {
    source: accountId
    topicType: 'Microsoft.Storage.StorageAccounts'
  }
}

resource reused 'Microsoft.EventGrid/systemTopics@2022-06-15' existing = if (reuse) {
  name: reuse ? existingName : name
}

output id string = reuse ? reused.id : topic.id
output name string = reuse ? existingName : name
output groupName string = resourceGroup().name
output principalId string = reuse ? reused.identity.principalId : topic.identity.principalId
