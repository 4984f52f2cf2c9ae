// The account's system topic, new or reused: who it is. The subscription follows the deployed code.
param name string

resource topic 'Microsoft.EventGrid/systemTopics@2022-06-15' existing = {
  name: name
}

output id string = topic.id
output name string = topic.name
output groupName string = resourceGroup().name
output principalId string = topic.identity.principalId
